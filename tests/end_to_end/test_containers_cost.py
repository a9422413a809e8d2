"""What jobs on the emulated AWS did cost: real containers find out where they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import dask
import pytest
from click.testing import CliRunner
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.cli.main import knot
from dask_knot.errors import BudgetError
from dask_knot.prices.shelf import packaged
from tests.end_to_end.containers import account, machine, open_aws, settings
from tests.rig.instance import TYPE, telling
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def instance(machine: Rig) -> Iterator[dict[str, str]]:
    """Serve the metadata of an instance where containers reach the emulated AWS."""
    with telling(machine) as variables:
        yield variables


def test_containers_find_out_what_they_cost(
    open_aws: Callable[..., KnotCluster], instance: dict[str, str]
) -> None:
    cluster = open_aws(name="paid", environment=instance)
    with Client(cluster) as client:
        client.gather(client.map(time.sleep, [1.0, 1.1, 1.2], pure=False))
        bill = cluster.cost()
        price = packaged().instance(TYPE, "us-east-1")
        assert price is not None
        # 1 of 2 vCPUs; 400 MiB are less of its memory.
        assert not bill.unknown, str(bill)
        assert bill.jobs.low == pytest.approx(0.5 * price.low * bill.seconds / 3600)
        assert bill.jobs.is_exact
        assert bill.seconds > bill.task_seconds["sleep"] > 3.2
        assert bill.idle_seconds > 0
        assert bill.store.low > 0
        assert "USD" in repr(cluster.jobs).splitlines()[-1]
    cluster.close()
    shown = CliRunner().invoke(knot, ["show", "paid", "--cost", "--engine", "aws"])
    assert shown.exit_code == 0, shown.output
    (line,) = (line for line in shown.output.splitlines() if line.startswith("jobs  "))
    assert f"{bill.jobs} (" in line


def test_what_costs_more_than_it_may_is_not_submitted(
    open_aws: Callable[..., KnotCluster],
) -> None:
    cluster = open_aws(max_cost="0.001 USD")
    with Client(cluster) as client:
        seconds = {"seconds": 600}
        with dask.annotate(knot=seconds):
            dear = [delayed(sum)([n, 1]) for n in range(3)]
        plan = cluster.plan_of(dear)
        assert plan.money is not None
        assert plan.money.low > 0.001
        assert f"money: {plan.money} (" in repr(plan)
        assert "it would be refused: this work costs" in repr(plan)
        with pytest.raises(BudgetError, match=r"is left of max_cost=0\.0010 USD"):
            client.compute(dear[0]).result(timeout=60)
        assert len(cluster.jobs) == 0
        # What fits runs.
        assert client.submit(sum, [1, 2]).result(timeout=120) == 3
    cluster.close()
