"""A plan in numbers."""

from __future__ import annotations

import pytest

from dask_knot.planning import Dependency, Limits, Plan, Resources, Shard, Stage
from dask_knot.planning.outline import Flow, Sizes, outline


def shard(
    tasks: str, inputs: str = "", outputs: str = "", weight: float = 1.0, unknown: int = 0
) -> Shard:
    """Describe a shard; each letter is a key, and all are of one prefix."""
    prefixes = {"t": len(tasks)} if tasks else {}
    return Shard(tuple(tasks), tuple(inputs), tuple(outputs), (), weight, prefixes, unknown)


def plan(*stages: list[Shard]) -> Plan:
    return Plan(tuple(Stage(tuple(shards), Resources()) for shards in stages), ("because",))


def test_stages_are_summed_up() -> None:
    found = outline(plan([shard("ab"), shard("c")], [shard("d", weight=2.5)]), set(), Sizes({}, {}))
    assert [(s.shards, s.tasks, s.seconds) for s in found.stages] == [
        (2, {"t": 3}, 2.0),
        (1, {"t": 1}, 2.5),
    ]
    assert found.reasons == ("because",)


def test_flows_count_values_and_how_often_they_are_read() -> None:
    made = plan(
        [shard("ab", "x", "ab")], [shard("c", "a", "c"), shard("d", "ab")], [shard("e", "ac", "e")]
    )
    found = outline(made, {"e", "b", "elsewhere"}, Sizes({"x": 7}, {"a": 100.0, "e": 1.0}))
    assert set(found.flows) == {
        Flow(None, 0, values=1, reads=1, nbytes=7, unknown=0),
        Flow(0, 1, values=2, reads=3, nbytes=200.0, unknown=1),
        Flow(0, 2, values=1, reads=1, nbytes=100.0, unknown=0),
        Flow(1, 2, values=1, reads=1, nbytes=0, unknown=1),
        Flow(2, None, values=1, reads=1, nbytes=1.0, unknown=0),
        Flow(0, None, values=1, reads=1, nbytes=0, unknown=1),
    }


def test_tasks_of_which_nothing_is_known_are_counted() -> None:
    found = outline(plan([shard("ab", unknown=2), shard("c")]), set(), Sizes({}, {}))
    assert (found.untimed, found.stages[0].untimed) == (2, 2)
    assert (found.worst, found.stages[0].worst) == (None, None)
    assert (found.jobs, found.stages[0].longest) == (2, 1.0)


LIMITS = Limits(slots=2, job_start_seconds=1.0)


@pytest.mark.parametrize(
    ("weights", "best", "worst"),
    [
        ([3.0], 4.0, 4.0),
        ([3.0, 3.0], 4.0, 4.0),
        ([3.0, 3.0, 3.0], 6.0, 8.0),
        ([3.0, 3.0, 3.0, 3.0], 8.0, 8.0),
        ([9.0, 1.0, 1.0], 10.0, 12.0),
    ],
)
def test_a_stage_takes_at_best_and_at_worst(
    weights: list[float], best: float, worst: float
) -> None:
    made = plan([shard("a", weight=weight) for weight in weights])
    (stage,) = outline(made, set(), Sizes({}, {}), LIMITS).stages
    assert (stage.best, stage.worst) == (best, worst)


def test_a_plan_takes_its_longest_chain_or_all_of_its_work() -> None:
    first, aside, last = ([shard("a", weight=weight)] for weight in (5.0, 3.0, 2.0))
    stages = [Stage(tuple(shards), Resources()) for shards in (first, aside)]
    stages.append(Stage(tuple(last), Resources(), (Dependency(0),)))
    found = outline(Plan(tuple(stages)), set(), Sizes({}, {}), LIMITS)
    assert (found.best, found.worst) == (9.0, 13.0)
    found = outline(Plan(tuple(stages)), set(), Sizes({}, {}), Limits(1, job_start_seconds=1.0))
    assert found.best == 13.0


def test_a_plan_of_nothing() -> None:
    assert outline(Plan(()), {"a"}, Sizes({}, {})).flows == ()
