"""What jobs did cost, asked of a cluster on this machine: their time, and no dollar."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.cli.main import knot
from dask_knot.prices.bill import Bill
from dask_knot.prices.money import Money
from tests.end_to_end.tasks import inc

SETTINGS = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None}


def rest(seconds: float) -> float:
    threading.Event().wait(seconds)
    return seconds


def check(bill: Bill, seconds: float) -> None:
    """Check the bill of some tasks that took so many seconds together."""
    assert bill.total == Money(0)
    assert bill.notes[0] == "0 USD: this machine"
    assert not bill.unknown
    assert bill.task_seconds["rest"] == pytest.approx(seconds, rel=0.2)
    assert bill.seconds == pytest.approx(seconds + bill.idle_seconds, rel=0.2)
    assert bill.vcpu_hours == pytest.approx(bill.seconds / 3600)


def test_a_named_run_of_this_machine(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    cluster = open_cluster(name="study", store=tmp_path, **SETTINGS)
    with Client(cluster) as client:
        assert cluster.cost().attempts == 0
        seconds = [0.4 + n / 1000 for n in range(4)]
        client.gather(client.map(rest, seconds))
        check(cluster.cost(), sum(seconds))
        assert "cost" not in repr(cluster.jobs), "nothing costs anything"
        attempts = cluster.cost().attempts
    cluster.close()
    check(cluster.cost(), sum(seconds))
    shown = CliRunner().invoke(knot, ["show", "study", "--cost", "--store", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert f"0 USD ({attempts} attempt" in shown.output
    assert "  rest" in shown.output


async def _in_a_loop() -> tuple[Bill, Bill]:
    async with (
        KnotCluster(asynchronous=True, **SETTINGS) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        assert await client.submit(inc, 1) == 2
        before = await cluster.cost()
    return before, await cluster.cost()


def test_in_an_event_loop() -> None:
    before, after = asyncio.run(_in_a_loop())
    assert before.attempts == after.attempts == 1
    assert [*before.task_seconds] == ["inc"]
