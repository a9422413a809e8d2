"""The answer: a table, sizes for either goal, money where prices are known, what isn't known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.estimates.assembly import assemble
from dask_knot.estimates.evidence import Evidence
from dask_knot.estimates.forecast import Forecast, check_goal, check_sample
from dask_knot.estimates.schedule import course
from dask_knot.estimates.sizes import GIB, MIB, JobSize
from dask_knot.estimates.trials import Expectation, Habit, Trial
from dask_knot.estimates.venue import HERE, WAYS, Venue
from dask_knot.planning import Plan, Resources
from dask_knot.planning.plan import Shard, Stage
from dask_knot.prices.pricelist import ON_DEMAND
from dask_knot.prices.shelf import packaged
from dask_knot.prices.tariff import Market, Tariff

PRICES = packaged()
HOME = Venue("local", JobSize(1, 4 * GIB), 2, 8 * GIB, None, PRICES)
REGION = "us-east-1"
CLOUD = Venue(
    "ec2",
    JobSize(1, 2 * GIB),
    8,
    None,
    REGION,
    PRICES,
    Tariff(PRICES, Market(REGION, (ON_DEMAND,))),
)
KEYS = [("f", i) for i in range(6)]
SECONDS = {key: 100.0 for key in KEYS}
PLAN = Plan(
    (
        Stage(tuple([Shard((key,), (), (), (), 1.0, {"f": 1}) for key in KEYS]), Resources()),
        Stage((Shard(("g",), (), (), (), 0.0, {"g": 1}, 1),), Resources()),
    )
)
TRIALS = [Trial(key, 100.0, 300 * MIB) for key in KEYS[:3]]
KNOWN = Evidence(Expectation(SECONDS, {"g": 1}), TRIALS, reserved=60 * MIB)


def answer(evidence: Evidence, place: Venue, optimize: str = "cost") -> Forecast:
    """Put it together."""
    ahead = course(PLAN, evidence.expected.seconds, place.slots, 1.0)
    return assemble(evidence, PLAN, ahead, place, optimize, ["said"])


def test_a_row_for_each_prefix_and_what_isnt_known_is_said() -> None:
    found = answer(KNOWN, HOME)
    first, second = found.rows
    assert (first.prefix, first.tasks, first.tried, first.jobs) == ("f", 6, 3, 6)
    assert (first.median, first.p95, first.seconds) == (100.0, 100.0, 600.0)
    assert first.size == JobSize(1, 384 * MIB)
    assert (second.tried, second.median, second.size) == (0, None, None)
    assert (found.seconds, found.jobs, found.vcpu_seconds) == (304.0, 7, 607.0)
    assert (found.unknown, found.money, found.prices) == (1, None, {})
    text = str(found)
    assert "time: at least 5 min" in text.replace("5.1 min", "5 min")
    assert "said" in text
    assert text.splitlines()[2].split() == ["g", "1", "0", "?", "?", "?", "?", "1"]


@pytest.mark.parametrize(("startup", "is_said"), [(30.0, True), (3.0, False)])
def test_a_long_start_is_said(startup: float, is_said: bool) -> None:
    found = answer(replace(KNOWN, startups={"f": startup}), HOME)
    assert found.rows[0].startup == startup
    assert ("start-up: the first task of f in each job takes 30 s longer" in str(found)) is is_said


def test_where_samples_lie_says_how_much_larger_others_may_be() -> None:
    trials = [
        Trial(key, 100.0, peak * MIB) for key, peak in zip(KEYS, (60, 180, 300), strict=False)
    ]
    spread = answer(replace(KNOWN, trials=trials), HOME)
    line = {key: float(place) for place, key in enumerate(KEYS[:3])}
    assert spread.rows[0].size == JobSize(1, 768 * MIB)
    assert answer(replace(KNOWN, trials=trials, places=line), HOME).rows[0].size == JobSize(
        1, 384 * MIB
    )


def test_settings_are_keywords_of_a_cluster() -> None:
    found = answer(KNOWN, HOME)
    assert found.settings() == found.settings("time") == {"memory": "384 MiB", "cores": 1}
    with pytest.raises(ConfigurationError, match="optimize='speed'"):
        found.settings("speed")


def test_money_is_what_jobs_of_the_size_cost() -> None:
    found = answer(KNOWN, CLOUD)
    assert [*found.prices] == [HERE, *WAYS]
    assert found.money is not None
    assert found.money == found.prices[HERE]
    # A c7i.large or the like has 2 vCPUs and 4 GiB, for 5 to 20 cents an hour.
    assert 0.002 < found.money.low < found.money.high < 607 / 3600 * 0.4
    assert found.rows[0].money["on demand"].low > 0


def test_a_region_without_prices_is_said() -> None:
    found = answer(KNOWN, replace(CLOUD, region="mars-1", tariff=None))
    assert found.money is None
    assert "on demand: unknown, as there is no price for mars-1" in found.notes
    assert not any(note.startswith("prices:") for note in found.notes)


def test_jobs_with_gpus_are_not_priced_as_those_without() -> None:
    tariff = Tariff(PRICES, Market(REGION, (ON_DEMAND,), types=("p4d.24xlarge", "m5.large")))
    plain, with_gpu = (answer(KNOWN, replace(CLOUD, gpus=n, tariff=tariff)) for n in (0, 1))
    assert set(with_gpu.prices) <= {HERE}
    assert plain.prices[HERE] != with_gpu.prices.get(HERE)
    assert not any("unknown, as there is no price" in note for note in with_gpu.notes)


def test_what_is_to_be_said_of_prices_is_said() -> None:
    old = replace(CLOUD, prices=replace(PRICES, notes=("prices are old",)))
    assert answer(KNOWN, old).notes[-2:] == (f"prices: {PRICES.said(REGION)}", "prices are old")


@pytest.mark.parametrize(
    ("seconds", "cost", "time"),
    [
        ({1: 100.0, 2: 98.0}, 1, 1),  # one thread
        ({1: 100.0, 2: 55.0, 4: 40.0}, 1, 1),  # eight slots are as well used by one core each
        ({1: 100.0, 2: 45.0}, 2, 2),
    ],
)
def test_cores_are_those_for_which_least_is_paid(
    seconds: dict[int, float], cost: int, time: int
) -> None:
    evidence = replace(KNOWN, by_cores={"f": seconds})
    sizes = answer(evidence, replace(HOME, slots=4)).sizes
    assert (sizes["cost"].cores, sizes["time"].cores) == (cost, time)


def test_more_cores_save_time_where_tasks_are_few() -> None:
    evidence = replace(KNOWN, by_cores={"f": {1: 100.0, 2: 55.0, 4: 40.0}})
    found = answer(evidence, replace(CLOUD, slots=64), "time")
    assert found.sizes["cost"].cores == 1
    assert found.sizes["time"].cores == 4
    assert found.seconds is not None
    assert found.seconds < 50


def test_tasks_side_by_side_in_a_job_need_as_much_each() -> None:
    evidence = replace(KNOWN, by_cores={"f": {1: 100.0, 2: 45.0}})
    # 60 MiB of the job, and twice 240 of the tasks, and an eighth to spare: 605.
    assert answer(evidence, HOME).sizes["cost"] == JobSize(2, 768 * MIB)


def test_tasks_that_were_tried_alone_have_others_beside_them_later() -> None:
    place = replace(HOME, size=JobSize(2, 4 * GIB))
    assert answer(KNOWN, place).sizes["cost"] == JobSize(2, 768 * MIB)


def test_earlier_runs_say_it_where_nothing_was_tried() -> None:
    evidence = Evidence(Expectation(SECONDS), habits={"f": Habit(100.0, 1000 * MIB)})
    found = answer(evidence, HOME)
    assert found.rows[0].tried == 0
    assert found.rows[0].size == JobSize(1, 1536 * MIB)


def test_what_no_job_is_large_enough_for_is_said() -> None:
    evidence = replace(KNOWN, trials=[Trial(KEYS[0], 1.0, 7 * GIB)])
    found = answer(evidence, HOME)
    assert found.settings() == {}
    assert "no job has enough memory for f" in found.notes


def test_it_is_a_table_in_a_notebook() -> None:
    page = answer(KNOWN, CLOUD)._repr_html_()
    assert page.count("<tr>") == 3
    assert "<th>on demand</th>" in page


@pytest.mark.parametrize("sample", [0, -1, 1.5, True, "3", None])
def test_a_wrong_number_is_refused(sample: Any) -> None:
    with pytest.raises(ConfigurationError, match="sample="):
        check_sample(sample)


@pytest.mark.parametrize("goal", ["money", "", None, 1])
def test_a_wrong_goal_is_refused(goal: Any) -> None:
    with pytest.raises(ConfigurationError, match="'cost', 'time'"):
        check_goal(goal)


def test_nothing_to_do_is_said() -> None:
    assert str(Forecast((), 0.0, 0, 0.0, {})) == "nothing is left to compute"
