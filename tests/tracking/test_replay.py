"""Which tasks a client needs to run one of them again."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.tracking import events
from dask_knot.tracking.tracker import Tracker
from tests.tracking.hands import Hands, graph

READS: dict[Key, list[Key]] = {
    "a": [],
    "b": ["a"],
    "c": ["a", "outside"],
    "d": ["b", "c"],
    "beside": ["a"],
}
GRAPH = graph(READS, ["d", "beside"], "outside")


def before(key: Key, *there: Key) -> list[Key]:
    return sorted(GRAPH.tasks_before(key, there.__contains__), key=str)


def test_a_task_is_taken_with_all_that_is_missing_before_it() -> None:
    assert before("d") == ["a", "b", "c", "d"]
    assert before("beside") == ["a", "beside"]


def test_what_is_there_is_read() -> None:
    assert before("d", "b") == ["a", "c", "d"]
    assert before("d", "b", "c") == ["d"]
    assert before("d", "d") == before("d")  # the task itself is what is asked for


def test_a_graph_is_found_by_what_is_inside_of_it() -> None:
    tracker = known()
    for key in READS:
        assert tracker.graph_of(key) is GRAPH
    assert tracker.graph_of("elsewhere") is None


def test_a_failure_is_where_the_record_says() -> None:
    tracker = known()
    assert tracker.failure_of("d") is None
    assert tracker.failure_of("elsewhere") is None
    error = ValueError("no")
    tracker.handle(events.PlanningFailed(0, error), 0.0)
    assert tracker.failure_of("d") is error


def known() -> Tracker:
    hands = Hands()
    hands.tell(events.GraphSubmitted(GRAPH))
    return hands.tracker
