"""A budget: what costs more isn't submitted, and what has cost more is ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from dask._task_spec import Task

from dask_knot.errors import BudgetError, PriceError
from dask_knot.planning import Plan, Resources, Shard, Stage, make_plan
from dask_knot.prices.budget import Budget
from dask_knot.prices.money import Money
from dask_knot.prices.pricelist import ON_DEMAND
from dask_knot.prices.tariff import Market, Tariff
from dask_knot.run.names import ShardId, StageId
from dask_knot.session import virtual
from dask_knot.session.failures import ErredKey
from dask_knot.session.opening import session_on
from dask_knot.session.purse import Purse
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop
from dask_knot.tracking import events
from tests.session.batch import VirtualBatch
from tests.session.histories import PRICES
from tests.session.test_adoption import NamedEngine, digested
from tests.session.test_session import WORK, Heard, VirtualEngine, until

#: A job of 600 s, a vCPU and a GiB costs about 0.01 USD there.
MARKET = Market("us-east-1", (ON_DEMAND,))


def work(name: str, width: int) -> events.Graph:
    """Make a graph of tasks that know nothing of each other."""
    tasks = {f"{name}-{n}": Task(f"{name}-{n}", int, n) for n in range(width)}
    return events.Graph(tasks, list(tasks), seconds=dict.fromkeys(tasks, WORK))


def opened(loop: VirtualLoop, folder: Path, max_cost: float | None, market: Market) -> Session:
    engine = VirtualEngine(loop, folder.as_uri())
    engine.market = market
    engine.settings = replace(engine.settings, max_cost=max_cost)
    return session_on(engine, loop.clockwork())


def errors(heard: Heard) -> list[BaseException]:
    return [one.failure.load() for one in heard.outcomes if isinstance(one, ErredKey)]


def test_a_plan_above_the_budget_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = opened(loop, tmp_path, 0.03, MARKET)
        heard = Heard(session, loop)
        session.start()
        session.submit(work("a", 4))
        await until(loop, heard, 4)
        found = errors(heard)
        assert [type(error) for error in found] == [BudgetError] * 4
        assert "0.030 USD is left of max_cost=0.030 USD" in str(found[0])
        assert not session._engine.client.arrays  # type: ignore[attr-defined]
        assert not session.jobs
        # What fits is submitted, though something else did not.
        session.submit(work("b", 1))
        await until(loop, heard, 5)
        assert len(errors(heard)) == 4
        await session.leave()
        session.end()

    virtual.run(main)


def test_a_plan_within_the_budget_runs(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = opened(loop, tmp_path, 1.0, MARKET)
        heard = Heard(session, loop)
        session.start()
        session.submit(work("c", 4))
        await until(loop, heard, 4)
        assert errors(heard) == []
        # What is done counts as spent, and no longer as planned.
        assert session.purse._under_way() == 0
        await session.leave()
        session.end()

    virtual.run(main)


def test_plans_under_way_count(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = opened(loop, tmp_path, 0.1, MARKET)
        heard = Heard(session, loop)
        session.start()
        session.submit(work("d", 4))
        while not session.jobs:
            await asyncio.sleep(1)
        assert 0 < session.purse._under_way() < 0.1
        session.submit(work("e", 5))
        await until(loop, heard, 9)
        assert len(errors(heard)) == 5
        await session.leave()
        session.end()

    virtual.run(main)


def test_a_plan_counts_before_the_tracker_has_heard_of_it() -> None:
    # The thread that submits may have the next plan in hand before the event loop knows the last.
    known: set[ShardId] = set()
    purse = Purse(
        Tariff(PRICES, MARKET._replace(types=("m5.large",))),
        0.0,
        Budget(1.0),
        lambda stages: [one for one in known if one.stage in stages],
        lambda: Money(0),
    )
    work = Stage((Shard((), (), (), (), 3600.0),) * 10, Resources(1, 2**30))
    purse.admit(0, Plan((work,)))  # of half a machine for 0.096 dollars an hour: 0.48 dollars
    purse.admit(1, Plan((work,)))
    with pytest.raises(BudgetError, match=r"plus 0\.96 USD reserved for work that is running"):
        purse.admit(2, Plan((work,)))
    # Once it has heard of it, what isn't open is done, or nobody wants it.
    known.update(ShardId(StageId(0, 0), index) for index in range(4))
    purse.told(0)
    purse.told(1)
    assert purse._under_way() == pytest.approx(4 * 0.048, rel=1e-3)
    known.clear()
    assert purse._under_way() == 0
    purse.admit(3, Plan((work,)))


def test_what_has_cost_more_is_ended_and_what_is_computed_stays(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = opened(loop, tmp_path, 1.0, MARKET)
        heard = Heard(session, loop)
        notices: list[str] = []
        session.hooks.notice = notices.append
        session.start()
        done = work("f", 2)
        session.submit(done)
        await until(loop, heard, 2)
        session.purse.spent = lambda: Money(1.5)
        session.purse.budget, budget = None, session.purse.budget
        session.submit(work("g", 3))
        while len(session.jobs) < 2:
            await asyncio.sleep(1)
        session.purse.budget = budget
        await until(loop, heard, 5)
        found = errors(heard)
        assert [type(error) for error in found] == [BudgetError] * 3
        assert "1.50 USD is spent, more than max_cost=1.00 USD" in str(found[0])
        assert notices == [str(found[0])]
        client = session._engine.client
        assert len(client.requests("TerminateJob")) == 1  # type: ignore[attr-defined]
        assert all(session.place_of(key) is not None for key in done.wanted)
        session.submit(work("h", 1))  # nothing more is submitted, however little it costs
        await until(loop, heard, 6)
        assert len(errors(heard)) == 4
        assert len(session.jobs) == 2
        await session.leave()
        session.end()

    virtual.run(main)


def test_a_budget_that_nobody_could_hold_is_refused_at_once(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        with pytest.raises(PriceError, match=r"--refresh --region mars-1"):
            opened(loop, tmp_path, 5.0, Market("mars-1", (ON_DEMAND,)))
        session = opened(loop, tmp_path, None, Market("mars-1", (ON_DEMAND,)))
        session.end()

    virtual.run(main)


def test_where_jobs_cost_nothing_a_budget_means_nothing(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        engine.settings = replace(engine.settings, max_cost=0.01)
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        request, *_ = await session.foresee(work("i", 2))
        assert request is not None
        assert session.purse.lines(make_plan(request)) == []
        session.submit(work("j", 2))
        await until(loop, heard, 2)
        assert errors(heard) == []
        await session.leave()
        session.end()

    virtual.run(main)


def test_a_plan_says_what_it_costs(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = opened(loop, tmp_path, 0.01, MARKET)
        request, *_ = await session.foresee(work("k", 2))
        assert request is not None
        plan = make_plan(request)
        money, budget, *_ = session.purse.lines(plan)
        cost = session.purse.cost(plan)
        assert cost is not None
        assert money.startswith(f"money: {cost.money} (EC2 on demand in us-east-1, ")
        assert budget.startswith("money: it would be refused: this work costs ")
        assert "max_cost=0.010 USD" in budget
        session.end()

    virtual.run(main)


def test_a_named_run_goes_on_with_a_higher_budget(tmp_path: Path) -> None:
    def named(loop: VirtualLoop, max_cost: float, batch: VirtualBatch | None) -> NamedEngine:
        engine = NamedEngine(loop, tmp_path.as_uri(), batch)
        engine.market = MARKET
        engine.settings = replace(engine.settings, max_cost=max_cost)
        return engine

    async def main(loop: VirtualLoop) -> None:
        engine = named(loop, 1.0, None)
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        done, more = digested(work("done", 2)), digested(work("more", 3))
        session.submit(done)
        await until(loop, heard, 2)
        session.submit(more)
        while len(session.jobs) < 2:
            await asyncio.sleep(1)
        session.purse.spent = lambda: Money(1.5)  # while it runs
        await until(loop, heard, 5)
        assert [type(error) for error in errors(heard)] == [BudgetError] * 3
        await session.leave()
        session.let_go()
        session.end()

        session = session_on(named(loop, 2.0, engine.client), loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        session.submit(digested(work("done", 2)))
        session.submit(digested(work("more", 3)))
        await until(loop, heard, 5)
        assert errors(heard) == []
        assert engine.client.ran == {str(key): 1 for key in [*done.tasks, *more.tasks]}
        await session.leave()
        session.let_go()
        session.end()

    virtual.run(main)
