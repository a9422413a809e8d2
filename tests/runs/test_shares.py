"""How many tasks are done of what isn't done yet, and what is said if not all of it is read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import RunView, read_run
from dask_knot.runs.shares import by_prefix, with_begun
from tests.runs.stores import MadeRun

FIRST, SECOND = StageId(0, 0), StageId(0, 1)


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    """Make a run: of its first stage a shard is done, and two have begun; its second is done."""
    made = MadeRun(tmp_path)
    made.plan(0, [["load-0", "load-1", "load-2", "load-3"], ["mean-0"]])
    made.finish(ShardId(FIRST, 0))
    made.part(ShardId(FIRST, 1), 0, tasks=1)
    made.part(ShardId(FIRST, 1), 1, tasks=2)
    made.part(ShardId(FIRST, 2), 0, tasks=1)
    made.finish(ShardId(SECOND, 0), "mean")
    return read_run(made.run, made.info, Observer(lambda line: pytest.fail(line)))


def test_tasks_of_shards_that_have_begun_are_counted(view: RunView) -> None:
    seen, counts = by_prefix(view)
    assert seen == with_begun(view)
    assert seen.progression().done_tasks == 5 + 3 + 1 + 5
    assert not seen.marks.is_least
    assert counts[FIRST].done == {"load": 9}
    assert counts[SECOND].done == {"mean": 5}
    assert counts[FIRST].is_all
    assert counts[SECOND].is_all


@pytest.mark.parametrize(
    ("most", "begun", "is_least", "load", "is_all"),
    [
        (0, 0, True, 0, False),
        (2, 3, True, 3, False),
        (3, 4, False, 4, False),
        (4, 4, False, 9, True),
    ],
)
def test_what_is_not_read_is_said(
    view: RunView, most: int, begun: int, is_least: bool, load: int, is_all: bool
) -> None:
    """Parts of shards that have begun are read first: the sum over the run needs nothing else."""
    seen, counts = by_prefix(view, most)
    assert seen == with_begun(view, most)
    assert seen.progression().done_tasks == 5 + 5 + begun
    assert seen.marks.is_least is is_least
    assert Counter(counts[FIRST].done)["load"] == load
    assert counts[FIRST].is_all is is_all
    assert counts[SECOND].is_all  # none of its manifests need to be read


def test_each_manifest_is_read_once(view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[ManifestId] = Counter()
    real = Run.read_manifest

    def count(run: Run, id: ManifestId) -> object:
        read[id] += 1
        return real(run, id)

    monkeypatch.setattr(Run, "read_manifest", count)
    by_prefix(view)
    assert len(read) == 4  # none of the stage that is done
    assert set(read.values()) == {1}
