"""A plan in numbers."""

from __future__ import annotations

from dask_knot.planning import Plan, Resources, Shard, Stage
from dask_knot.planning.outline import Flow, Sizes, outline


def shard(tasks: str, inputs: str = "", outputs: str = "", weight: float = 1.0) -> Shard:
    """Describe a shard; each letter is a key, and all are of one prefix."""
    return Shard(
        tuple(tasks), tuple(inputs), tuple(outputs), (), weight, {"t": len(tasks)} if tasks else {}
    )


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


def test_tasks_whose_time_is_assumed_are_counted() -> None:
    made = plan([shard("ab"), shard("c")])
    assert outline(made, set(), Sizes({}, {})).untimed == 3
    assert outline(made, set(), Sizes({}, {}), {"t"}).untimed == 0


def test_a_plan_of_nothing() -> None:
    assert outline(Plan(()), {"a"}, Sizes({}, {})).flows == ()
