"""What people see of the tracker while shards run, end, fail and are planned again."""

from __future__ import annotations

from array import array

import pytest
from dask.typing import Key

from dask_knot.run.manifest import Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ShardId
from dask_knot.tracking import events
from dask_knot.tracking.events import Ending
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, plans_of, snapshot
from dask_knot.tracking.tally import REMEMBERED

from .hands import NAMES, Hands
from .memory import remembered

CHAIN: dict[Key, list[Key]] = {"load-1": [], "load-2": ["load-1"], "add-1": ["load-2"]}


def ran(
    hands: Hands,
    id: ShardId,
    work: dict[str, Work],
    part: int | None,
    size: int = 0,
    times: tuple[float, ...] = (),
) -> None:
    """Let a shard tell of tasks that ran; its last manifest has values of some size."""
    name = NAMES.manifest(id, part)
    outputs = [
        Output(n, Kind.FINISHED, Place(name, n, size), 8, 0, 1.0, 2.0)
        for n, _ in enumerate(hands.shard(id).outputs if part is None else ())
    ]
    moved = {"read": 10, "written": 100}
    found = Manifest(
        part is None, 1, outputs, [(b"", "int")], work, array("d", times).tobytes(), moved=moved
    )
    hands.tell(events.ManifestFound(id, name, found))


def tasks(hands: Hands) -> dict[str, tuple[int, int, int]]:
    """Give done, erred and total by prefix."""
    seen = snapshot(remembered(hands.tracker)).tasks
    return {name: (count.done, count.erred, count.total) for name, count in seen.items()}


def test_tasks_move_with_parts() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    assert snapshot(remembered(hands.tracker)).waiting == 3
    hands.plan()
    id = hands.shard_of("add-1")
    assert tasks(hands) == {"load": (0, 0, 2), "add": (0, 0, 1)}
    ran(hands, id, {"load": Work(1, 0.1)}, part=0)
    assert tasks(hands) == {"load": (1, 0, 2), "add": (0, 0, 1)}
    ran(hands, id, {"load": Work(1, 0.1), "add": Work(1, 0.1)}, part=None)
    assert tasks(hands) == {"load": (2, 0, 2), "add": (1, 0, 1)}
    assert snapshot(remembered(hands.tracker)).waiting == 0


def test_a_stage_knows_when_its_tasks_ran() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    hands.plan()
    id = hands.shard_of("add-1")

    def span() -> tuple[float, float] | None:
        return snapshot(remembered(hands.tracker)).stages[0].span

    assert span() is None, "nothing has run"
    ran(hands, id, {"load": Work(1, 2.0)}, part=0, times=(5.0, 7.0))
    assert span() == (5.0, 7.0)
    # threads: the first task to begin is not the first to be told of
    ran(hands, id, {"load": Work(1, 3.0), "add": Work(1, 1.0)}, None, times=(4.0, 7.0, 8.0, 9.0))
    assert span() == (4.0, 9.0)


def test_numbers_stay_when_the_records_are_gone() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    hands.plan()
    ran(hands, hands.shard_of("add-1"), {}, part=None, size=50)
    seen = snapshot(remembered(hands.tracker))
    assert (seen.stored, seen.moved) == (50, {"read": 10, "written": 100})
    hands.forget("add-1")
    assert hands.is_clean()
    seen = snapshot(remembered(hands.tracker))
    assert seen.stored == 0
    assert [stage.shards[ShardState.DONE] for stage in seen.stages] == [1]
    assert seen.tasks["load"] == Count(2, 0, 2)


def test_what_a_failed_input_kept_from_running_has_erred() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    hands.plan()
    id = hands.shard_of("add-1")
    ran(hands, id, {"load": Work(2, 0.1, erred=1)}, part=0)
    hands.finish(id, erred=["add-1"])
    assert tasks(hands) == {"load": (1, 1, 2), "add": (0, 1, 1)}


def test_a_second_attempt_counts_no_task_twice() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    hands.plan()
    id = hands.shard_of("add-1")
    for part in (0, 1):
        ran(hands, id, {"load": Work(2, 0.1)}, part=part)
    ran(hands, id, {"load": Work(1, 0.1), "add": Work(1, 0.1)}, part=None)
    assert tasks(hands) == {"load": (2, 0, 2), "add": (1, 0, 1)}


def test_tasks_that_a_lost_shard_didnt_run_go_to_the_next_plan() -> None:
    hands = Hands()
    hands.submit(CHAIN, "add-1")
    hands.plan()
    id = hands.shard_of("add-1")
    ran(hands, id, {"load": Work(1, 0.1)}, part=0)
    hands.fail(id, Ending.HOST_LOST)
    assert tasks(hands) == {"load": (1, 0, 1)}
    hands.plan()
    assert tasks(hands) == {"load": (1, 0, 3), "add": (0, 0, 1)}
    shards = [dict(stage.shards) for stage in snapshot(remembered(hands.tracker)).stages]
    assert shards == [{ShardState.OPEN: 0, ShardState.FAILED: 1}, {ShardState.OPEN: 1}]


def test_tasks_that_nothing_will_run_have_erred() -> None:
    hands = Hands()
    hands.submit({"load-1": []}, "load-1")
    hands.plan()
    hands.fail(hands.shard_of("load-1"), Ending.NOT_STARTED)
    assert tasks(hands) == {"load": (0, 1, 1)}


def test_the_plans_of_keys_bring_those_that_they_wait_for() -> None:
    hands = Hands()
    for reads, key in (({"a-1": []}, "a-1"), ({"b-1": ["a-1"]}, "b-1"), ({"c-1": []}, "c-1")):
        hands.submit(reads, key, external=["a-1"] if key == "b-1" else [])
        hands.plan()
    state = remembered(hands.tracker)
    assert plans_of(state, ["b-1", "unknown"]) == ({1}, 0)
    assert list(snapshot(state, {1}).tasks) == ["a", "b"]
    assert list(snapshot(state, {2}).tasks) == ["c"]
    hands.submit({"d-1": []}, "d-1")
    assert plans_of(state, ["d-1"]) == (set(), 1)


@pytest.mark.parametrize(("pause", "expected"), [(1.0, ["a", "b"]), (60.0, ["b"])])
def test_after_a_while_what_was_is_not_shown_any_more(pause: float, expected: list[str]) -> None:
    hands = Hands()
    hands.submit({"a-1": []}, "a-1")
    hands.plan()
    hands.finish(hands.shard_of("a-1"))
    hands.now += pause
    hands.submit({"b-1": []}, "b-1")
    hands.plan()
    assert list(snapshot(remembered(hands.tracker)).tasks) == expected


def come_and_go(hands: Hands, key: str) -> None:
    """Ask for a task, run it, and forget it."""
    hands.submit({key: []}, key)
    hands.plan()
    hands.finish(hands.shard_of(key))
    hands.forget(key)
    hands.done.clear()
    hands.plans.clear()


def test_old_stages_are_forgotten() -> None:
    hands = Hands()
    for number in range(REMEMBERED + 5):
        come_and_go(hands, f"a-{number}")
    assert len(remembered(hands.tracker).tallies) == REMEMBERED


def test_stages_that_are_over_are_forgotten_while_an_older_one_runs() -> None:
    hands = Hands(slots=10_000)
    hands.submit({"old-1": []}, "old-1")
    hands.plan()
    old = hands.shard_of("old-1").stage
    many = REMEMBERED + 5
    for number in range(many):
        come_and_go(hands, f"a-{number}")
    tallies = remembered(hands.tracker).tallies
    assert len(tallies) == REMEMBERED
    assert old in tallies
    # Their tasks are still counted, as long as they belong to what is going on.
    assert tasks(hands) == {"a": (many, 0, many), "old": (0, 0, 1)}
    seen = snapshot(remembered(hands.tracker))
    assert [stage.id for stage in seen.stages] == sorted(tallies)
    hands.tell(events.KeyReleased("old-1", True))
    hands.now += 60.0
    hands.submit({"b-1": []}, "b-1")
    hands.plan()
    assert tasks(hands) == {"b": (0, 0, 1)}
