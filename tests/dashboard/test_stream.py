"""The task stream: what manifests tell, as Dask's pages and clients ask for it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence

import dask
import pytest

from dask_knot.dashboard.stream import Stream
from dask_knot.run.manifest import Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ShardId, StageId

FIRST, SECOND = (ShardId(StageId(7, 0), index) for index in range(2))


def manifest(
    *tasks: tuple[str, float, float, bool], outputs: Sequence[Output] = (), final: bool = True
) -> Manifest:
    """Write what a child would of tasks: prefix, start, stop, whether it raised."""
    prefixes = list(dict.fromkeys(prefix for prefix, *_ in tasks))
    times = array("d", [moment for _, start, stop, _ in tasks for moment in (start, stop)])
    kinds = array("I", [2 * prefixes.index(prefix) + erred for prefix, *_, erred in tasks])
    work = {prefix: Work() for prefix in prefixes}
    return Manifest(final, 1, outputs, [(b"", "int")], work, times.tobytes(), kinds.tobytes())


def keys(messages: Sequence[dict[str, object]]) -> list[object]:
    return [message["key"] for message in messages]


def test_every_task_is_told_with_its_times_and_slot() -> None:
    stream = Stream()
    output = Output(0, Kind.FINISHED, Place("a", 0, 1), 28, 0, 2.0, 3.0)
    stream.take(
        FIRST, manifest(("load", 1, 2, False), ("add", 2, 3, False), outputs=[output]), ["add-1"]
    )
    stream.take(SECOND, manifest(("load", 1.5, 4, True)), ["add-2"])
    inner, add, failed = stream.collect()
    assert inner == {
        "key": ("load", str(FIRST), 0),
        "worker": "slot-0",
        "thread": 0,
        "status": "OK",
        "startstops": [{"action": "compute", "start": 1, "stop": 2}],
        "nbytes": 0,
        "typename": "",
    }
    assert (add["key"], add["nbytes"], add["typename"]) == ("add-1", 28, "int")
    assert (failed["status"], failed["worker"]) == ("error", "slot-1")


def test_what_dask_sees_itself_isnt_told_twice() -> None:
    stream = Stream()
    stream.transition("a", "processing", "memory", startstops=[{"start": 1, "stop": 2}])
    assert stream.collect() == []
    assert stream.index == 0


def test_a_shard_that_nobody_needs_any_more_is_told_without_keys() -> None:
    stream = Stream()
    output = Output(0, Kind.FINISHED, Place("a", 0, 1), 28, 0, 1.0, 2.0)
    stream.take(FIRST, manifest(("load", 1, 2, False), outputs=[output]), [])
    assert keys(stream.collect()) == [("load", str(FIRST), 0)]


@pytest.fixture
def filled() -> Stream:
    """Give a stream of six tasks that end at 1, 2 ... 6; those of two shards came in turns."""
    stream = Stream()
    for shard, ends in ((FIRST, (1, 3)), (SECOND, (2, 5)), (FIRST, (4, 6))):
        told = [(f"t{end}", end - 0.5, float(end), False) for end in ends]
        stream.take(shard, manifest(*told, final=False), [])
    return stream


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"start": 3.0}, [3, 4, 5, 6]),
        ({"stop": 3.0}, [1, 2]),
        ({"start": 2.0, "stop": 4.0}, [2, 3]),
        ({"start": 2.0, "stop": 4.0, "count": 1}, [2, 3]),
        ({"count": 2}, [5, 6]),
        ({"count": 9}, [1, 2, 3, 4, 5, 6]),
        ({"start": 2.0, "count": 2}, [2, 3]),
        ({"stop": 5.0, "count": 2}, [3, 4]),
        ({"start": 0, "stop": 0}, []),
        ({"start": "10s"}, []),
        ({"stop": "10s"}, [1, 2, 3, 4, 5, 6]),
        ({"start_index": 3}, [4, 5, 6]),
        ({"start_index": 6}, []),
    ],
)
def test_it_is_asked_as_dasks_own(
    filled: Stream, asked: dict[str, object], expected: list[int]
) -> None:
    found = filled.collect(**asked)  # type: ignore[arg-type]
    assert [message["key"][0] for message in found] == [f"t{end}" for end in expected]


def test_pages_draw_what_is_new(filled: Stream) -> None:
    lanes: dict[str, float] = {}
    drawn = filled.rectangles(istart=2, workers=lanes)
    assert drawn["name"] == ["t2", "t5", "t4", "t6"]
    assert drawn["duration"] == [500.0] * 4
    assert set(drawn["worker_thread"]) == {"slot-0-0", "slot-1-0"} == set(lanes)
    assert filled.rectangles(istart=2, istop=4)["name"] == ["t2", "t5"]


def test_pages_draw_what_began_a_little_before_what_they_show(filled: Stream) -> None:
    assert len(filled.rectangles(istart=0, start_boundary=20.0)["name"]) == 6
    assert not filled.rectangles(istart=0, start_boundary=time.time())["name"]


def test_old_tasks_are_forgotten_by_the_chunk() -> None:
    lengths = {
        f"distributed.scheduler.dashboard.{page}.task-stream-length": 20
        for page in ("status", "tasks")
    }
    with dask.config.set(lengths):
        stream = Stream()
    told = [("t", float(number), number + 1.0, False) for number in range(30)]
    stream.take(FIRST, manifest(*told[:10]), [])
    stream.take(FIRST, manifest(*told[10:29]), [])
    assert len(stream.collect()) == 29, "none of the last 20 is missing"
    stream.take(FIRST, manifest(*told[29:]), [])
    assert [message["key"][2] for message in stream.collect()] == list(range(10, 30))
    assert stream.index == 30


def test_shards_that_are_lost_keep_no_slot() -> None:
    stream = Stream()
    stream.take(FIRST, manifest(("t", 0, 1, False), final=False), [])
    stream.keep(lambda shard: shard != FIRST)
    stream.take(SECOND, manifest(("t", 2, 3, False)), [])
    assert {message["worker"] for message in stream.collect()} == {"slot-0"}


def test_manifests_without_tasks_are_nothing_to_see() -> None:
    stream = Stream()
    stream.take(FIRST, manifest(), [])
    assert stream.index == 0
