"""The commands about named runs, in the emulated AWS: without a client jobs are seen and ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.aws.session import AwsSession
from dask_knot.cli.main import knot
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import account, machine, open_aws, settings

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(600)


def dask_knot(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(knot, [*words, "--engine", "aws"])
    assert result.exit_code == code, result.output
    return result.output


def test_a_run_is_looked_at_ended_and_deleted_without_its_client(
    open_aws: Callable[..., KnotCluster], account: AwsSession
) -> None:
    def shout(x: int) -> float:
        print("about to divide", x, flush=True)
        return 1 / x

    cluster = open_aws(name="colleague")
    with Client(cluster) as client:
        bad = client.submit(shout, 0)
        wait(bad, timeout=120)
        assert bad.status == "error"
        slow = client.submit(time.sleep, 1000)
        until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs), 120)
        cluster.leave()
        del slow
    assert "running" in dask_knot("runs")
    shown = dask_knot("show", "colleague")
    assert "1 erred" in shown
    assert "1 running" in shown
    assert "(1 RUNNING)" in shown
    assert "division by zero" in shown
    assert "about to divide 0" in dask_knot("logs", "colleague", "shout")
    assert "in use: 1 job under way" in dask_knot("rm", "colleague", "--yes", code=1)
    assert "1 job of run colleague stopped" in dask_knot("cancel", "colleague", "--yes")
    assert "failed" in dask_knot("runs")
    assert "is deleted" in dask_knot("rm", "colleague", "--yes")
    assert "colleague" not in dask_knot("runs").replace("looking for runs", "")
