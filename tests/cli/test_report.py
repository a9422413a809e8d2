"""`dask knot doctor --report` prints its block whatever is wrong, and nothing private in it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import dask
import pytest
from click.testing import CliRunner

from dask_knot.cli.main import knot
from dask_knot.errors import CredentialsError
from dask_knot.settings.defaults import DEFAULTS


def nobody(**place: Any) -> Any:
    raise CredentialsError("no credentials for 123456789012: run `aws configure`")


@pytest.mark.parametrize("settings", [{}, {"knot.jobs": "many"}, {"knot.aws.stack": 3}])
def test_a_report_ends_well_whatever_is_wrong(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with dask.config.set({"knot": deepcopy(DEFAULTS)}), dask.config.set(settings):
        result = CliRunner().invoke(knot, ["doctor", "--report"], obj=nobody)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("<details open>")
    assert result.stdout.endswith("</details>\n")
    assert "123456789012" not in result.stdout
    shown = [line.split() for line in result.stdout.splitlines()]
    assert all([name, str(value)] in shown for name, value in settings.items())
