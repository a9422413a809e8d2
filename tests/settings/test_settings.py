"""Keyword before dask.config before knot.yaml; what is wrong is answered with what is right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import dask
import pytest
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from distributed.utils_test import reset_config

from dask_knot.errors import ConfigurationError
from dask_knot.settings import settings
from dask_knot.settings.defaults import DEFAULTS, reconfigure
from dask_knot.settings.settings import resolve


@pytest.fixture(autouse=True)
def _own_configuration() -> Iterator[None]:
    """Start from the packaged defaults, and leave the configuration as it was."""
    with dask.config.set({"knot": deepcopy(DEFAULTS)}):
        yield


def test_defaults_fit_this_machine() -> None:
    found = resolve({})
    assert found.engine == "local"
    assert found.jobs == CPU_COUNT
    assert found.cores == 1
    assert found.memory == MEMORY_LIMIT // CPU_COUNT
    assert found.timeout is None
    assert found.store is None
    assert found.part_interval == 5
    assert found.tempo.target == 0.5
    assert found.tempo.shards_per_slot == 2
    assert "numpy" in found.tempo.preload


def test_jobs_follow_from_cores() -> None:
    assert resolve({"cores": 2 * CPU_COUNT}).jobs == 1
    assert resolve({"jobs": 7}).memory == MEMORY_LIMIT // 7


@pytest.mark.parametrize(
    ("setting", "keyword", "default", "configured", "given"),
    [
        ("cores", "cores", 1, 2, 3),
        ("processes", "processes", False, True, False),
        ("progress", "progress", True, False, True),
        ("reuse", "reuse", True, False, True),
        ("memory", "memory", MEMORY_LIMIT // CPU_COUNT, 2**30, 2**31),
        ("timeout", "timeout", None, 60.0, 7200.0),
        ("start-timeout", "start_timeout", None, 60.0, 7200.0),
        ("attempts", "attempts", 3, 10, 1),
        ("max-cost", "max_cost", None, 2.5, 5.0),
        ("speculate", "speculate", None, 4.0, 1.5),
        ("memory-retries", "memory_retries", 3, 1, 0),
        ("max-memory", "max_memory", None, 2**30, 2**31),
        ("store", "store", None, "s3://bucket", "file:///folder"),
        ("dashboard-address", "dashboard_address", ":8787", ":0", ":1"),
        ("part-interval", "part_interval", 5.0, 1.0, 0.5),
        ("modules-limit", "modules_limit", 100 * 2**20, 0, 2**20),
        ("host", "host", "127.0.0.1", "0.0.0.0", "localhost"),
    ],
)
def test_keyword_before_configuration_before_default(
    setting: str, keyword: str, default: object, configured: object, given: object
) -> None:
    assert getattr(resolve({}), keyword) == default
    with dask.config.set({f"knot.{setting}": configured}):
        assert getattr(resolve({}), keyword) == configured
        assert getattr(resolve({keyword: given}), keyword) == given
        if keyword != "dashboard_address":
            assert getattr(resolve({keyword: None}), keyword) == configured


def test_a_keyword_can_say_that_there_is_no_dashboard() -> None:
    assert resolve({"dashboard_address": None}).dashboard_address is None


def test_the_environment_configures() -> None:
    found = dask.config.collect_env({"DASK_KNOT__PART_INTERVAL": "2s", "DASK_KNOT__JOBS": "4"})
    with dask.config.set(found):
        assert resolve({}).part_interval == 2
        assert resolve({}).jobs == 4


@pytest.mark.parametrize(
    ("keyword", "text", "meaning"),
    [
        ("memory", "4 GiB", 2**32),
        ("memory", "2MB", 2_000_000),
        ("timeout", "2 hours", 7200.0),
        ("timeout", 90, 90.0),
        ("start_timeout", "2 hours", 7200.0),
        ("start_timeout", 0.5, 0.5),
        ("part_interval", "500ms", 0.5),
        ("cores", "4", 4),
        ("modules_limit", "5 kB", 5000),
        ("modules_limit", "0", 0),
        ("speculate", "4", 4.0),
        ("max_cost", "5 USD", 5.0),
        ("max_cost", "$0.50", 0.5),
        ("max_cost", 5, 5.0),
        ("max_cost", ".5 dollars", 0.5),
        ("max_cost", 1e-5, 0.00001),
        ("max_cost", 1e16, 1e16),
        ("memory_retries", "2", 2),
        ("max_memory", "64 GiB", 2**36),
        ("gpus", 0, 0),
        ("environment", {"A": 1}, {"A": "1"}),
        ("name", "my-run_1", "my-run_1"),
    ],
)
def test_values_may_be_written_as_people_do(keyword: str, text: object, meaning: object) -> None:
    assert getattr(resolve({keyword: text}), keyword) == meaning


def test_runs_without_name_get_one_of_their_own() -> None:
    first, second = resolve({}), resolve({})
    assert not first.is_named
    assert first.name != second.name
    assert resolve({"name": "mine"}).is_named


WRONG: list[tuple[str, Any, str]] = [
    ("engine", "slurm", "one of 'local'"),
    ("engine", ["local"], "one of 'local'"),
    ("name", "-run", "letters, digits"),
    ("name", "a" * 81, "at most 80"),
    ("name", "my run", "letters, digits"),
    ("name", 5, "letters, digits"),
    ("estimate", 0, "a whole number of at least 1"),
    ("estimate", "few", "a whole number of at least 1"),
    ("cores", "automatic", "a whole number of at least 1"),
    ("memory", "some", "an amount of memory"),
    ("jobs", 0, "a whole number of at least 1"),
    ("jobs", 1.5, "a whole number of at least 1"),
    ("jobs", True, "a whole number of at least 1"),
    ("jobs", "many", "a whole number of at least 1"),
    ("cores", -1, "a whole number of at least 1"),
    ("gpus", -1, "a whole number of at least 0"),
    ("attempts", 11, "from 1 to 10"),
    ("attempts", 0, "a whole number of at least 1"),
    ("max_cost", 0, "US dollars above 0"),
    ("max_cost", "5 EUR", "5 USD"),
    ("max_cost", "-5", "5 USD"),
    ("max_cost", True, "5 USD"),
    ("max_cost", math.inf, "5 USD"),
    ("max_cost", math.nan, "5 USD"),
    ("max_cost", -1e-5, "5 USD"),
    ("max_cost", "9" * 400, "5 USD"),
    ("max_cost", "1,000 USD", "5 USD"),
    ("max_cost", [5], "5 USD"),
    ("max_cost", "much", "5 USD"),
    ("speculate", 1, "a number above 1"),
    ("memory_retries", -1, "a whole number of at least 0"),
    ("memory_retries", 11, "from 0 to 10"),
    ("memory_retries", True, "a whole number of at least 0"),
    ("max_memory", "much", "an amount of memory"),
    ("max_memory", 0, "an amount of memory"),
    ("speculate", True, "a number above 1"),
    ("speculate", "often", "a number above 1"),
    ("speculate", float("inf"), "a number above 1"),
    ("processes", "yes", "True or False"),
    ("progress", "never", "True or False"),
    ("reuse", "always", "True or False"),
    ("memory", "much", "4 GiB"),
    ("memory", 1000, "at least 1 MiB"),
    ("memory", -5, "at least 1 MiB"),
    ("memory", [], "4 GiB"),
    ("timeout", 59, "at least 60 seconds"),
    ("timeout", "soon", "2 hours"),
    ("start_timeout", 0, "in which a job can start"),
    ("start_timeout", "never", "2 hours"),
    ("part_interval", -1, "500ms"),
    ("part_interval", {}, "500ms"),
    ("modules_limit", -1, "100 MiB"),
    ("modules_limit", True, "100 MiB"),
    ("modules_limit", "much", "100 MiB"),
    ("environment", ["A=1"], "a mapping"),
    ("environment", {"1A": "x"}, "letters, digits and _"),
    ("environment", {"A": None}, "strings without null characters"),
    ("environment", {"A": "x\0y"}, "strings without null characters"),
    ("environment", {"AWS_BATCH_JOB_ID": "x"}, "not beginning with AWS_BATCH"),
    ("store", "", "s3://bucket/prefix"),
    ("store", 5, "s3://bucket/prefix"),
    ("host", "", "a text"),
    ("dashboard_address", 8787, "a text"),
]


@pytest.mark.parametrize(("keyword", "value", "valid"), WRONG)
@pytest.mark.parametrize("how", ["keyword", "configuration"])
def test_a_wrong_value_is_answered_with_the_valid_ones(
    keyword: str, value: object, valid: str, how: str
) -> None:
    given = {keyword: value} if how == "keyword" else {}
    configured = {} if given else {f"knot.{keyword.replace('_', '-')}": value}
    with dask.config.set(configured), pytest.raises(ConfigurationError) as caught:
        resolve(given)
    message = str(caught.value)
    assert valid in message
    source = keyword if given else f"knot.{keyword.replace('_', '-')}"
    assert message.startswith(source)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("setting", "value", "valid"),
    [
        ("local.target", "soon", "500ms"),
        ("local.shards-per-slot", 0, "a whole number of at least 1"),
        ("local.preload", "numpy", "a list of modules"),
        ("local.preload", [1], "a list of modules"),
        ("local.shared-memory", -0.5, "a share such as 0.5"),
        ("local.shared-memory", "much", "a share such as 0.5"),
        ("local.shared-memory", True, "a share such as 0.5"),
        ("local", 3, "a mapping"),
    ],
)
def test_a_wrong_number_of_an_engine_is_answered(setting: str, value: object, valid: str) -> None:
    with (
        dask.config.set({f"knot.{setting}": value}),
        pytest.raises(ConfigurationError, match=valid) as caught,
    ):
        resolve({})
    assert setting in str(caught.value).replace("_", "-")


@pytest.mark.parametrize(
    ("given", "configured", "says"),
    [
        ({"job": 3}, {}, "Did you mean 'jobs'"),
        ({"memry": "1 GiB"}, {}, "Did you mean 'memory'"),
        ({"qqq": 1}, {}, "There are: attempts, container, cores"),
        ({}, {"knot.core": 3}, "Did you mean 'cores'"),
        ({}, {"knot.part-intervall": 3}, "Did you mean 'part-interval'"),
        ({}, {"knot.local.targets": 3}, "Did you mean 'target'"),
    ],
)
def test_an_unknown_name_is_answered_with_a_known_one(
    given: dict[str, Any], configured: dict[str, Any], says: str
) -> None:
    with dask.config.set(configured), pytest.raises(ConfigurationError, match=says):
        resolve(given)


@pytest.mark.parametrize("engine", settings.ENGINES)
def test_a_setting_that_there_was_breaks_nothing_and_is_told(
    engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = resolve({"engine": engine, "name": "a"})
    assert caplog.text == ""
    for name in ("unknown-task", "unknown_task"):
        with dask.config.set({f"knot.{engine}": {name: "1s"}}):
            assert resolve({"engine": engine, "name": "a"}) == before
        assert f"knot.{engine}.unknown-task no longer exists" in caplog.text
        caplog.clear()


def test_defaults_come_back_after_a_reset() -> None:
    with dask.config.set({"knot.cores": 2}):
        before = dict(dask.config.config)
        dask.config.config.pop("knot")
        assert resolve({}).cores == 1
        dask.config.config.clear()
        dask.config.config.update(before)


def test_defaults_come_back_after_distributed_resets() -> None:
    kept = dict(dask.config.config), list(dask.config.defaults)
    try:
        reset_config()
        assert resolve({"cores": 3}).cores == 3
        assert resolve({}).tempo.target == 0.5
        reconfigure()
        assert dask.config.get("knot.attempts") == 3
    finally:
        dask.config.config.clear()
        dask.config.config.update(kept[0])
        dask.config.defaults[:] = kept[1]


def test_what_is_to_be_chosen_is_as_usual_yet() -> None:
    usual, chosen = resolve({"jobs": 2}), resolve({"jobs": 2, "cores": "auto", "memory": "auto"})
    assert (chosen.cores, chosen.memory) == (usual.cores, usual.memory)
    assert (usual.auto, chosen.auto) == (frozenset(), {"cores", "memory"})
    assert resolve({"jobs": 2, "cores": "auto", "memory": "1 GiB"}).memory == 2**30


def test_every_setting_is_checked() -> None:
    names = {name.replace("-", "_") for name in DEFAULTS} - {*settings.SECTIONS}
    assert names == set(settings._CHECKS)
    assert {keyword for keyword, _, _ in WRONG} == names


@pytest.mark.parametrize("engine", settings.ENGINES)
def test_every_engine_has_all_numbers(engine: str) -> None:
    found = resolve({"engine": engine})
    assert found.tempo.stuck_after > 0
    assert (found.aws is not None) == (engine == "aws")
    assert (found.docker is not None) == (engine == "docker")


def test_defaults_of_the_engine_aws() -> None:
    found = resolve({"engine": "aws", "cores": 4})
    assert found.aws is not None
    assert (found.aws.stack, found.aws.region, found.aws.image) == ("dask-knot", None, None)
    assert found.jobs == 0  # the queue knows
    assert found.memory == 8 * 2**30
    assert (found.tempo.target, found.tempo.job_start) == (240, 30)


@pytest.mark.parametrize("engine", ["local", "docker", "aws"])
def test_what_a_replaced_section_lacks_has_its_default(engine: str) -> None:
    """A mapping that is set is all that stands in its section then."""
    whole = resolve({"engine": engine, "name": "a"})
    for section in ("knot", f"knot.{engine}"):
        with dask.config.set({section: {}}):
            assert resolve({"engine": engine, "name": "a"}) == whole


def test_what_only_an_engine_has_can_be_a_keyword() -> None:
    configured = {"knot.engine": "aws", "knot.aws.stack": "mine", "knot.aws.job-role": "arn:a"}
    with dask.config.set(configured):
        found = resolve({"region": "eu-west-1", "stack": "other", "tags": {"project": 7}})
    assert found.aws is not None
    assert (found.aws.stack, found.aws.region) == ("other", "eu-west-1")
    assert (found.aws.job_role, found.aws.tags) == ("arn:a", {"project": "7"})
    docker = resolve({"engine": "docker", "image": "mine:1"}).docker
    assert docker is not None
    assert docker.image == "mine:1"


def test_the_environment_configures_an_engine() -> None:
    found = dask.config.collect_env(
        {"DASK_KNOT__AWS__JOB_ROLE": "arn:b", "DASK_KNOT__AWS__POLL_FASTEST": "3s"}
    )
    with dask.config.set(found):
        aws = resolve({"engine": "aws"})
    assert aws.aws is not None
    assert aws.aws.job_role == "arn:b"
    assert aws.tempo.poll_fastest == 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"region": "eu-west-1"}, "'[a-z]*': it belongs to engine='aws'"),
        ({"engine": "local", "image": "a"}, "'image': it belongs to engine='docker'"),
        ({"engine": "docker", "profile": "p"}, "'[a-z]*': it belongs to engine='aws'"),
        ({"engine": "aws", "regoin": "x"}, "Did you mean 'region'"),
        ({"engine": "aws", "target": "1s"}, "has no argument 'target'"),
        ({"engine": "aws", "up": {}}, "has no argument 'up'"),
    ],
)
def test_arguments_of_another_engine_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        resolve(given)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("stack", "", "a text"),
        ("region", 5, "a text"),
        ("image", "", "a text"),
        ("scheduling_priority", 10_000, "from 0 to 9999"),
        ("scheduling_priority", -1, "a whole number of at least 0"),
        ("share_identifier", "my-share", "letters and digits"),
        ("secrets", {"TOKEN": "hunter2"}, "ARNs of Secrets Manager"),
        ("secrets", {"1": "arn:aws:ssm:x"}, "letters, digits and _"),
        ("tags", {"aws:x": "y"}, "not beginning with .aws:"),
        ("tags", {"dask-knot": "y"}, "which is ours"),
        ("tags", {"who": "Bob, Alice"}, "a value of .who."),
        ("tags", {"Who": "a", "who": "b"}, "one tag to AWS"),
        ("tags", ["a"], "a mapping"),
        ("tags", {str(n): "" for n in range(41)}, "at most 40"),
    ],
)
def test_a_wrong_value_of_the_engine_aws_is_answered(name: str, value: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        resolve({"engine": "aws", name: value})
    assert "hunter2" not in str(caught.value)
    configured = {f"knot.aws.{name.replace('_', '-')}": value}
    with dask.config.set(configured), pytest.raises(ConfigurationError, match=says):
        resolve({"engine": "aws"})


@pytest.mark.parametrize(
    ("given", "meant"),
    [("n_workers", "jobs"), ("threads_per_worker", "cores"), ("memory_limit", "memory")],
)
def test_words_of_other_clusters_are_understood(given: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{given!r}. Did you mean {meant!r}"):
        resolve({given: 2})


@pytest.mark.parametrize(
    ("given", "meant"),
    [(0, 0), ("0.25", 0.25), (1, 1), ("4 GiB", 4 * 2**30), (2**30, 2**30), ("1 MiB", 2**20)],
)
def test_shared_memory_is_a_share_or_bytes(given: object, meant: float) -> None:
    with dask.config.set({"knot.local.shared-memory": given}):
        assert resolve({}).tempo.shared_memory == meant
