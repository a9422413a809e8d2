"""The first source that says something decides; errors say which one it was."""

from __future__ import annotations

from typing import Any

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.settings import awschecks, checks
from dask_knot.settings.resolver import (
    SettingSource,
    is_empty,
    is_never,
    is_none,
    keywords,
    resolved,
    section,
)

TABLE = {"vcpus_each": checks.count, "tags": awschecks.mapping}


def find(given: dict[str, Any], configured: Any, **silent: Any) -> dict[str, Any]:
    with dask.config.set({"somewhere": configured}):
        said, found = keywords(given, "nobody takes", **silent), section("somewhere.below")
    for source in (said, found):
        source.check_names(TABLE)
    return resolved(TABLE, said, found, SettingSource({"vcpus_each": 1}))


@pytest.mark.parametrize(
    ("given", "configured", "vcpus"),
    [
        ({}, {}, 1),
        ({}, {"below": None}, 1),
        ({}, {"below": {"vcpus-each": 2}}, 2),
        ({}, {"below": {"vcpus_each": "2"}}, 2),
        ({"vcpus_each": 3}, {"below": {"vcpus-each": 2}}, 3),
        ({"vcpus_each": None}, {"below": {"vcpus-each": 2}}, 2),
    ],
)
def test_the_first_source_that_says_something_decides(
    given: dict[str, Any], configured: Any, vcpus: int
) -> None:
    assert find(given, configured) == {"vcpus_each": vcpus}


def test_of_two_spellings_that_of_keywords_came_later() -> None:
    assert find({}, {"below": {"vcpus_each": 3, "vcpus-each": 2}}) == {"vcpus_each": 3}


def test_empty_ones_say_nothing_where_they_can_not_be_told_from_none() -> None:
    configured = {"below": {"tags": {"a": "b"}}}
    assert find({"tags": {}}, configured)["tags"] == {}
    assert find({"tags": {}}, configured, is_silent=is_empty)["tags"] == {"a": "b"}


@pytest.mark.parametrize(
    ("value", "by_none", "by_empty"),
    [
        (None, True, True),
        ((), False, True),
        ([], False, True),
        ({}, False, True),
        ("", False, False),
        (0, False, False),
        (False, False, False),
        (["a"], False, False),
    ],
)
def test_what_says_nothing(value: object, by_none: bool, by_empty: bool) -> None:
    assert (is_none("a", value), is_empty("a", value)) == (by_none, by_empty)
    assert not is_never("a", value)


@pytest.mark.parametrize(
    ("given", "configured", "says"),
    [
        (
            {"vcpus_each": 0},
            {},
            "^vcpus_each=0 is wrong: it should be a whole number of at least 1",
        ),
        ({}, {"below": {"vcpus-each": 0}}, "^somewhere.below.vcpus-each=0 is wrong"),
        ({}, {"below": {"vcpus_each": 0}}, "^somewhere.below.vcpus-each=0 is wrong"),
        ({}, {"below": 5}, "^somewhere.below=5 is wrong: it should be a mapping of settings"),
        ({"vcpu_each": 1}, {}, "^nobody takes 'vcpu_each'. Did you mean 'vcpus_each'"),
        ({"vcpu_each": None}, {}, "^nobody takes 'vcpu_each'"),
        (
            {},
            {"below": {"vcpu_each": 1}},
            "^in the configuration, somewhere.below has no setting 'vcpu-each'. Did you "
            "mean 'vcpus-each'\\? There are: tags, vcpus-each$",
        ),
    ],
)
def test_errors_say_where_a_value_came_from(
    given: dict[str, Any], configured: Any, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        find(given, configured)


def test_words_of_other_clusters_are_understood_in_the_configuration_too() -> None:
    source = SettingSource({"threads_per_worker": 1}, "there is no", path="somewhere")
    with pytest.raises(ConfigurationError, match=r"no 'threads-per-worker'. Did you mean 'cores'"):
        source.check_names(["cores"])
