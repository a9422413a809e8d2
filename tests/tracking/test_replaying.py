"""Which tasks a client needs to run one of them again."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.replaying import failure_of, graph_of, tasks_before
from dask_knot.tracking.state import TrackerState
from tests.tracking.hands import Hands, graph
from tests.tracking.memory import remembered

READS: dict[Key, list[Key]] = {
    "a": [],
    "b": ["a"],
    "c": ["a", "outside"],
    "d": ["b", "c"],
    "beside": ["a"],
}
GRAPH = graph(READS, ["d", "beside"], "outside")


def before(key: Key, *there: Key) -> list[Key]:
    return sorted(tasks_before(GRAPH, key, there.__contains__), key=str)


def test_a_task_is_taken_with_all_that_is_missing_before_it() -> None:
    assert before("d") == ["a", "b", "c", "d"]
    assert before("beside") == ["a", "beside"]


def test_what_is_there_is_read() -> None:
    assert before("d", "b") == ["a", "c", "d"]
    assert before("d", "b", "c") == ["d"]
    assert before("d", "d") == before("d")  # the task itself is what is asked for


def test_a_graph_is_found_by_what_is_inside_of_it() -> None:
    state = known()
    for key in READS:
        assert graph_of(state, key) is GRAPH
    assert graph_of(state, "elsewhere") is None


def test_a_failure_is_where_the_record_says() -> None:
    state = known()
    assert failure_of(state, "d") is None
    assert failure_of(state, "elsewhere") is None
    error = ValueError("no")
    state.keys["d"].state, state.keys["d"].error = KeyState.ERRED, error
    assert failure_of(state, "d") is error


def known() -> TrackerState:
    state = remembered(Hands().tracker)
    state.keys["d"] = KeyRecord("d", GRAPH)
    return state
