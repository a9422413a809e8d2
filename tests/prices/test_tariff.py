"""What jobs cost where they run, and what plans and budgets make of it."""

from __future__ import annotations

import math

import pytest

from dask_knot.planning import Plan, Resources, Shard, Stage
from dask_knot.prices.budget import Budget
from dask_knot.prices.money import NOTHING, UNKNOWN, Money
from dask_knot.prices.offers import KEPT, offers
from dask_knot.prices.plancost import PlanCost, plan_cost
from dask_knot.prices.pricelist import FARGATE, FARGATE_SPOT, ON_DEMAND, SPOT
from dask_knot.prices.tariff import Market, Tariff
from tests.prices.sheets import BOTH, PRICES

GIB = 2**30
SMALL = Resources(1, GIB)
#: A job of a vCPU and of all that the system leaves of a c5.large but for a vCPU.
WRITE, READ = 0.000005, 0.0000004


def tariff(*lifecycles: str, types: tuple[str, ...] = ("c5", "m5"), kind: str = "amd64") -> Tariff:
    return Tariff(BOTH, Market("here", lifecycles, kind, types))


@pytest.mark.parametrize(
    ("tariff", "size", "full", "alone"),
    [
        # Half of a machine, by its vCPUs.
        (tariff(ON_DEMAND, types=("c5",)), SMALL, Money(0.04), Money(0.08)),
        (tariff(ON_DEMAND), SMALL, Money(0.04, 0.045), Money(0.08, 0.09)),
        # By its memory: 3 of 3.5 GiB.
        (
            tariff(ON_DEMAND, types=("c5.large",)),
            Resources(1, 3 * GIB),
            Money(0.08 * 3 / 3.5),
            Money(0.08),
        ),
        # What the system keeps isn't there for jobs: it needs a larger machine.
        (
            tariff(ON_DEMAND, types=("c5",)),
            Resources(1, 4 * GIB),
            Money(0.16 * 4 / 7.5),
            Money(0.16),
        ),
        # Spot is not priced as on demand; what isn't known of it is at most that.
        (tariff(SPOT, types=("m5",)), SMALL, Money(0.015, 0.02), Money(0.03, 0.04)),
        (tariff(SPOT, types=("c5",)), SMALL, Money(0, 0.04), Money(0, 0.08)),
        # A queue may have both.
        (tariff(ON_DEMAND, SPOT, types=("m5",)), SMALL, Money(0.015, 0.045), Money(0.03, 0.09)),
        # Arm, and what Batch chooses by itself.
        (tariff(ON_DEMAND, types=("m6g",), kind="arm64"), SMALL, Money(0.035), Money(0.07)),
        (tariff(ON_DEMAND, types=("m6g",)), SMALL, UNKNOWN, UNKNOWN),
        (tariff(ON_DEMAND, types=("optimal",)), SMALL, Money(0.04, 0.045), Money(0.08, 0.09)),
        # GPUs: only machines that have them.
        (tariff(ON_DEMAND), Resources(1, GIB, gpus=1), UNKNOWN, UNKNOWN),
        (tariff(ON_DEMAND, types=("g4dn",)), Resources(4, GIB, gpus=1), Money(0.5), Money(0.5)),
        # A job of one vCPU that has the only GPU, or one of four, keeps others from it.
        (tariff(ON_DEMAND, types=("g4dn.xlarge",)), Resources(1, GIB, gpus=1), *[Money(0.5)] * 2),
        (
            tariff(ON_DEMAND, types=("g4dn.12xlarge",)),
            Resources(1, GIB, gpus=1),
            Money(1),
            Money(4),
        ),
        # Of a family the smallest machine that has so many.
        (tariff(ON_DEMAND, types=("g4dn",)), Resources(1, GIB, gpus=2), Money(2), Money(4)),
        # Fargate has steps: 2.1 GiB cost as 3.
        (
            tariff(FARGATE),
            Resources(1, int(2.1 * GIB)),
            Money(0.04 + 3 * 0.004),
            Money(0.04 + 3 * 0.004),
        ),
        (tariff(FARGATE, kind="arm64"), Resources(1, 2 * GIB), Money(0.036), Money(0.036)),
        (tariff(FARGATE_SPOT), Resources(1, 2 * GIB), Money(0.012), Money(0.012)),
        (tariff(FARGATE), Resources(64, GIB), UNKNOWN, UNKNOWN),
        (tariff(FARGATE), Resources(1, GIB, gpus=1), UNKNOWN, UNKNOWN),
        # What isn't known is not known.
        (tariff(ON_DEMAND, types=("new.large",)), SMALL, UNKNOWN, UNKNOWN),
        (tariff(ON_DEMAND, types=("x9.large", "none")), SMALL, UNKNOWN, UNKNOWN),
    ],
)
def test_an_hour_of_a_job(tariff: Tariff, size: Resources, full: Money, alone: Money) -> None:
    for found, money in ((tariff.full(size), full), (tariff.alone(size), alone)):
        assert (found.low, found.high) == (pytest.approx(money.low), pytest.approx(money.high))
    assert tariff.is_known(size) == (full is not UNKNOWN)


def test_a_region_that_the_list_lacks() -> None:
    nowhere = Tariff(PRICES, Market("nowhere", (ON_DEMAND,)))
    assert nowhere.full(SMALL) == UNKNOWN
    assert nowhere.store is None
    assert nowhere.said(SMALL) == (
        "EC2 on demand in nowhere: the price of such a job isn't known here; `dask knot "
        "prices --refresh --region nowhere` asks AWS"
    )
    # The machines of a region may be known, and Fargate not.
    assert "isn't known here" in Tariff(PRICES, Market("there", (FARGATE,))).said(SMALL)


@pytest.mark.parametrize(
    ("tariff", "text"),
    [
        (
            tariff(ON_DEMAND),
            "EC2 on demand in here, AWS, 2026-06-01; the range is from full machines to one job",
        ),
        (tariff(SPOT, types=("m5",)), "EC2 Spot in here"),
        (tariff(SPOT, types=("c5",)), "the Spot price isn't known: at most the on-demand price"),
        (tariff(FARGATE), "Fargate in here, AWS, 2026-06-01"),
    ],
)
def test_it_says_what_prices_they_are(tariff: Tariff, text: str) -> None:
    assert text in tariff.said(SMALL)


def test_known_prices_of_spot_are_not_said_to_be_unknown() -> None:
    assert "isn't known" not in tariff(SPOT, types=("m5",)).said(SMALL)
    assert "isn't known" not in tariff(FARGATE_SPOT).said(SMALL)
    unknown = Tariff(PRICES, Market("here", (FARGATE_SPOT,)))
    assert "isn't known" in unknown.said(SMALL)


def test_offers_of_one_job_on_every_kind_of_machine() -> None:
    all_of = offers(BOTH, "here", 1, 1024)
    found = {(one.name, one.lifecycle, one.architecture): one for one in all_of}
    assert found["m5.large", "spot", "amd64"].hour == Money(0.015, 0.04)
    assert found["m6g.large", "on-demand", "arm64"].hour == Money(0.035, 0.07)
    assert found["fargate", "fargate", "arm64"].hour == Money(0.03 + 2 * 0.003)
    assert found["fargate", "fargate-spot", "amd64"].memory == 2048
    assert not any(name.startswith("g4dn") for name, _, _ in found)
    assert offers(BOTH, "nowhere", 1, 1024) == []
    assert KEPT < 1024


def stage(*weights: float, unknown: int = 0, vcpus: float = 1) -> Stage:
    shards = tuple([Shard((), ("in",), (), (), weight, unknown=unknown) for weight in weights])
    return Stage(shards, Resources(vcpus, GIB))


def test_a_plan_costs_from_full_machines_to_one_job_on_each() -> None:
    cost = plan_cost(Plan((stage(3600, 3600), stage(1800))), tariff(ON_DEMAND, types=("c5",)), 36)
    requests = WRITE * (2 + 2 * 3) + READ * (3 + 3)
    assert cost.money.low == pytest.approx(2.5 * 0.04 + requests)
    assert cost.money.high == pytest.approx((2.5 + 3 * 0.01) * 0.08 + requests)
    assert cost.counted == pytest.approx(2.5 * 0.04 + requests)


def test_tasks_beside_each_other_are_paid_once() -> None:
    plan = Plan((stage(7200, vcpus=2),))
    cost = plan_cost(plan, tariff(ON_DEMAND, types=("c5",)), 0)
    assert cost.money.low == pytest.approx(0.08, rel=1e-3)
    assert cost.money.high == pytest.approx(0.16, rel=1e-3)  # if each waits for the other


def test_what_nobody_knows_the_time_of_costs_at_least_the_rest() -> None:
    cost = plan_cost(Plan((stage(3600, unknown=2),)), tariff(ON_DEMAND, types=("c5",)), 0)
    assert cost.money.high == math.inf
    assert str(cost.money) == "at least 0.040 USD"
    assert cost.untimed == 2


def test_spot_that_is_not_known_counts_as_on_demand_for_a_budget() -> None:
    cost = plan_cost(Plan((stage(3600),)), tariff(SPOT, types=("c5",)), 0)
    assert cost.money.low < 0.001
    assert cost.counted == pytest.approx(0.04, rel=1e-3)


def test_fargate_is_paid_for_a_minute_at_least() -> None:
    cost = plan_cost(Plan((stage(1.0),)), tariff(FARGATE), 0)
    assert cost.money.low == pytest.approx((0.04 + 2 * 0.004) / 60, rel=1e-1)
    assert cost.money.low > (0.04 + 2 * 0.004) / 60


def test_an_empty_plan_costs_nothing() -> None:
    assert plan_cost(Plan(()), tariff(ON_DEMAND), 30) == PlanCost()


@pytest.mark.parametrize(
    ("spent", "planned", "wanted", "is_refused"),
    [
        (NOTHING, 0, 4.9, False),
        (NOTHING, 0, 5.0, False),
        (NOTHING, 0, 5.1, True),
        (Money(2), 0, 3.1, True),
        (Money(2), 2, 0.9, False),
        (Money(2), 2, 1.1, True),
        (Money(1, 4), 0, 2, True),  # the most counts
        (Money(1, math.inf), 0, 2, False),  # nobody knows the most
        (Money(5.1), 0, 0, True),
    ],
)
def test_a_budget(spent: Money, planned: float, wanted: float, is_refused: bool) -> None:
    refusal = Budget(5).refusal(spent, planned, PlanCost(Money(wanted), wanted))
    assert (refusal is not None) == is_refused
    if refusal is not None:
        assert "max_cost=5.00 USD" in refusal


def test_what_is_left_is_said() -> None:
    text = Budget(5).refusal(Money(2), 1, PlanCost(Money(3, 4), 3))
    assert text is not None
    assert "costs 3.00 to 4.00 USD, but 2.00 USD is left" in text
    assert "2.00 USD is spent plus 1.00 USD reserved for work that is running" in text


def test_more_than_a_budget_ends_what_runs() -> None:
    assert Budget(5).end(Money(5)) is None
    assert Budget(5).end(Money(1, math.inf)) is None
    text = Budget(5).end(Money(4, 6))
    assert text is not None
    assert "Raise max_cost" in text
    assert text.startswith("6.00 USD is spent, more than max_cost=5.00 USD")
