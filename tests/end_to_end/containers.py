"""Fixtures of clusters in the emulated AWS: import them, and what they need, where used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dask
import pytest

from dask_knot import KnotCluster
from dask_knot.aws.options import StackOptions
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from tests.rig.machine import Rig

SMALL = {"jobs": 2, "memory": "400 MiB", "dashboard_address": None}


@pytest.fixture(scope="module")
def machine(rig: Rig) -> Iterator[Rig]:
    """Let this process find the emulated AWS and its Docker engine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in rig.environment.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
            patch.delenv(name, raising=False)
        build = {"packages": ["numpy"], "network": "host"}
        with dask.config.set({"knot.build": build}):
            yield rig


@pytest.fixture(scope="module")
def account(machine: Rig) -> Iterator[AwsSession]:
    """Give an account with a stack in it."""
    session = open_aws_session()
    up(session, StackOptions(), lambda _: None)
    yield session
    session.close()


@pytest.fixture(scope="module")
def settings(machine: Rig) -> dict[str, Any]:
    """Give the settings of a cluster on the emulated AWS."""
    return {**SMALL, "engine": "aws"}


@pytest.fixture
def open_aws(account: AwsSession, settings: dict[str, Any]) -> Iterator[Callable[..., KnotCluster]]:
    """Open clusters with other settings, and close them after the test."""
    opened: list[KnotCluster] = []

    def open_one(**others: Any) -> KnotCluster:
        opened.append(KnotCluster(**{**settings, **others}))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
