"""All runs of a store at once, while others change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.run.names import ShardId, StageId
from dask_knot.run.orders import Claimant
from dask_knot.runs.depot import Depot, Words, find_runs
from dask_knot.runs.overview import overviews
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import read_run
from tests.runs.stores import MadeRun


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    """Make a store of three runs, each newer than the one before."""
    for name in ("c", "a", "b"):
        made = MadeRun(tmp_path, name)
        made.plan(0, [["x-0"]])
        made.finish(ShardId(StageId(0, 0), 0))
    return find_runs(Words(store=str(tmp_path), engine="local"))


def names(depot: Depot) -> list[str]:
    found = overviews(depot, Observer(lambda line: pytest.fail(line)))
    assert all(one.view is not None for one in found)
    return [one.name for one in found]


def test_the_newest_comes_first(depot: Depot) -> None:
    assert names(depot) == ["b", "a", "c"]


def test_a_run_that_is_deleted_meanwhile_is_left_out(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Depot, "names", lambda self: ["b", "gone", "c"])
    assert names(depot) == ["b", "c"]


def test_of_a_run_that_was_stopped_the_tasks_that_parts_keep_are_done(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "stopped")
    made.plan(0, [["load-0", "load-1", "load-2"]])
    first, second, _ = (ShardId(StageId(0, 0), n) for n in range(3))
    made.finish(first)
    made.part(second, 0, tasks=1)
    made.part(second, 1, tasks=2)
    depot = find_runs(Words(store=str(tmp_path), engine="local"))
    [one] = overviews(depot, Observer(lambda line: pytest.fail(line)))
    assert one.view is not None
    there = one.view.progression()
    assert (there.state.value, there.done_tasks, there.all_tasks) == ("left", 8, 15)


def test_what_shards_have_handed_over_is_read_from_their_last_manifests(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "mended")
    made.plan(0, [["load-0", "load-1", "load-2"]])
    stage = StageId(0, 0)
    made.hand_over(ShardId(stage, 0), 3, Claimant.CLIENT)
    made.hand_over(ShardId(stage, 1), 3, Claimant.CHILD)  # which took it back
    made.finish(ShardId(stage, 2))
    view = read_run(made.run, made.info, Observer(lambda line: pytest.fail(line)))
    assert view.marks.handed == {ShardId(stage, 0): {"load": 3}, ShardId(stage, 1): {}}
    there = view.progression()
    assert (there.done_tasks, there.all_tasks) == (12, 12)


def test_what_running_shards_have_handed_over_is_read_from_their_parts(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "mended")
    made.plan(0, [["load-0", "load-1", "load-2", "load-3"]])
    first, second, third = (ShardId(StageId(0, 0), n) for n in range(3))
    made.hand_over(first, 3, Claimant.CLIENT, part=1)
    made.part(first, 2)
    made.hand_over(second, 3, Claimant.CHILD, part=1)
    made.hand_over(third, 2, None, part=1)  # nobody has claimed it yet
    view = read_run(made.run, made.info, Observer(lambda line: pytest.fail(line)))
    assert view.marks.handed == {first: {"load": 3}, second: {}}
    assert view.progression().all_tasks == 4 * 5 - 3
