"""Whoever speaks to AWS finds stack, region and profile in one way."""

from __future__ import annotations

from typing import Any

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.settings.connection import Connection, connection
from dask_knot.settings.settings import AwsSettings, resolve

SET = {"stack": "team", "region": "eu-west-1", "profile": "lab"}


def test_the_defaults_are_those_of_the_file() -> None:
    assert connection() == Connection("dask-knot", None, None)
    with dask.config.set({"knot.aws": {}}):
        assert connection() == Connection("dask-knot", None, None)


def test_what_is_given_wins_over_the_configuration() -> None:
    with dask.config.set({"knot.aws": SET}):
        assert connection() == Connection(**SET)
        assert connection({"stack": None, "region": ""}) == Connection(**SET)
        given = connection({"stack": "mine", "profile": "me"})
        assert given == Connection("mine", "eu-west-1", "me")


def test_a_cluster_finds_the_same() -> None:
    with dask.config.set({"knot.aws": SET}):
        settings = resolve({"engine": "aws"}).aws
    assert isinstance(settings, AwsSettings)
    assert Connection(settings.stack, settings.region, settings.profile) == Connection(**SET)


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ({"knot.aws.stack": ["a"]}, r"^knot.aws.stack=\['a'\] is wrong"),
        ({"knot.aws.region": 1}, "^knot.aws.region=1 is wrong"),
        ({"knot.aws.profile": ""}, "^knot.aws.profile='' is wrong"),
        ({"knot.aws": "team"}, "^knot.aws='team' is wrong"),
    ],
)
def test_what_is_wrong_is_said_as_it_is_written(configured: dict[str, Any], message: str) -> None:
    with dask.config.set(configured), pytest.raises(ConfigurationError, match=message):
        connection()
