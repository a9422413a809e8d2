"""What a report finds here, and that nothing that is missing ends it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_knot.errors import CredentialsError
from dask_knot.report.facts import ReportFacts
from dask_knot.report.gather import gather
from dask_knot.settings.defaults import DEFAULTS


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let Dask's configuration be that of the test, and no Docker be there."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    with dask.config.set({"knot": deepcopy(DEFAULTS)}):
        yield tmp_path


def nobody(**place: str) -> Any:
    raise CredentialsError("there are no AWS credentials: run `aws configure`")


def seen() -> ReportFacts:
    return gather(nobody, lambda: "dask-knot")


def test_versions_and_the_machine() -> None:
    facts = seen()
    assert facts.versions["dask"] == version("dask")
    assert {"platform", "cores", "memory"} <= {*facts.machine}


def test_only_settings_that_differ_are_named() -> None:
    assert seen().settings == {"knot.engine": "local"}
    changed = {
        "knot.jobs": 3,
        "knot.aws.region": "eu-west-1",
        "knot.aws.up.max-vcpus": 8,
        "knot.environment": {"A": "b"},
    }
    with dask.config.set(changed):
        assert seen().settings == {"knot.engine": "local", **changed}


def test_files_and_variables_that_set_something(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (surroundings / "knot.yaml").write_text("knot:\n  jobs: 3\n")
    (surroundings / "other.yaml").write_text("# knot:\ndistributed: {}\n")
    monkeypatch.setenv("DASK_KNOT__JOBS", "3")
    sources = seen().sources
    assert str(surroundings / "knot.yaml") in sources
    assert str(surroundings / "other.yaml") not in sources
    assert "the environment variable DASK_KNOT__JOBS" in sources


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUt")
    monkeypatch.setenv("KEYRING_KIND", "plain")
    assert "wJalrXUt" in seen().secrets
    assert "plain" not in seen().secrets
    assert "wJalrXUt" not in repr(seen())


def test_wrong_settings_are_told_not_raised() -> None:
    with dask.config.set({"knot.jobs": "many"}):
        facts = seen()
    assert "knot.jobs" in facts.complaint
    assert facts.settings["knot.jobs"] == "many"


def test_without_credentials_nothing_is_checked_where_aws_is_not_used() -> None:
    facts = seen()
    assert facts.checks == []
    assert "nothing of AWS is used here (knot.engine: local)" in facts.unchecked
    assert "there are no AWS credentials" in facts.unchecked


def test_without_credentials_that_is_the_first_check_where_aws_is_used() -> None:
    with dask.config.set({"knot.engine": "aws"}):
        (check,) = seen().checks
    assert (check.mark, check.fix) == ("wrong", "run `aws configure`")
    assert check.text == "credentials: there are no AWS credentials"


def test_without_docker_its_line_says_so() -> None:
    assert seen().docker == "none answers"
