"""The Knot page in numbers, words and bars."""

from __future__ import annotations

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.dashboard.overview import Overview, StageRow, overview
from dask_knot.dashboard.words import DECISIONS, decisions, figures, shard_bars, task_bars
from dask_knot.run.names import StageId
from dask_knot.session.decisions import Decision
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, Snapshot, StageSeen

STAGE = StageId(3, 1)


def seen(shards: dict[ShardState, int], **tasks: Count) -> Snapshot:
    return Snapshot((StageSeen(STAGE, shards, tasks),), tasks, 0, 2048, {"read": 1024})


def look(shards: dict[ShardState, int], children: dict[str, int], **tasks: Count) -> Overview:
    states = {JobStatus(name): count for name, count in children.items()}
    return overview(seen(shards, **tasks), {STAGE: states}, 8, {"written": 3072})


@pytest.mark.parametrize(
    ("shards", "children", "row"),
    [
        ({ShardState.OPEN: 5}, {"RUNNABLE": 5}, StageRow("3.1", 5, 0, 0, 0, 0)),
        ({ShardState.OPEN: 5}, {"STARTING": 1, "RUNNING": 2}, StageRow("3.1", 2, 3, 0, 0, 0)),
        # Batch was asked before the last shards ended
        ({ShardState.OPEN: 1, ShardState.DONE: 4}, {"RUNNING": 3}, StageRow("3.1", 0, 1, 4, 0, 0)),
        (
            {ShardState.DONE: 1, ShardState.FAILED: 2, ShardState.DROPPED: 3},
            {},
            StageRow("3.1", 0, 0, 1, 2, 3),
        ),
    ],
)
def test_shards_by_state(
    shards: dict[ShardState, int], children: dict[str, int], row: StageRow
) -> None:
    assert look(shards, children).stages == [row]
    assert look(shards, children).running == row.running
    assert row.total == sum(shards.values())


def test_stages_without_jobs_wait() -> None:
    now = overview(seen({ShardState.OPEN: 2}), {}, 8, {})
    assert (now.running, now.stages[0].waiting) == (0, 2)


def test_bars_are_whole() -> None:
    now = look({ShardState.OPEN: 3, ShardState.DONE: 1}, {"RUNNING": 2}, load=Count(3, 1, 10))
    for bar in (*shard_bars(now), *task_bars(now)):
        assert sum(share for share, _ in bar.layers) == pytest.approx(1)
    assert shard_bars(now)[0].text == "1 / 4, 2 running"
    assert task_bars(now)[0].text == "3 / 10, 1 erred"


def test_all_tasks_stay_as_many_when_they_are_planned() -> None:
    waiting = overview(Snapshot((), {}, 7, 0, {}), {}, 8, {})
    assert waiting.count == look({ShardState.OPEN: 1}, {}, load=Count(0, 0, 7)).count
    assert "0 of 7, 7 to be planned" in figures(waiting)


def test_figures_are_named() -> None:
    now = look({ShardState.OPEN: 3, ShardState.FAILED: 1}, {"RUNNING": 2}, load=Count(3, 1, 10))
    text = figures(now)
    for part in ("2 of 8", "3 of 10, 1 erred", "2.00 kiB", "1.00 kiB / 0 B", "0 B / 3.00 kiB"):
        assert part in text
    assert "failed" in text
    assert "dropped" not in text, "only colours that are there are explained"


def test_the_last_decisions_are_shown_the_newest_first() -> None:
    many = [Decision(float(number), f"<{number}>") for number in range(DECISIONS + 2)]
    text = decisions(overview(seen({}), {}, 8, {}, many))
    shown = [text.index(f"&lt;{number}&gt;") for number in reversed(range(2, DECISIONS + 2))]
    assert shown == sorted(shown)
    assert "&lt;1&gt;" not in text
    assert decisions(overview(seen({}), {}, 8, {})) == ""


def test_the_cost_is_shown_where_jobs_cost_anything() -> None:
    assert "cost so far" not in figures(overview(seen({}), {}, 8, {}))
    text = figures(overview(seen({}), {}, 8, {}, (), "0.12 to 0.30 USD"))
    assert "0.12 to 0.30 USD</span><br>cost so far" in text
