"""The Knot page in numbers, words and bars."""

from __future__ import annotations

import re

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.dashboard import words
from dask_knot.dashboard.overview import Overview, Spent, StageRow, overview
from dask_knot.dashboard.words import DECISIONS, EMPTY, MOST, NAMED, decisions, runs, summary
from dask_knot.run.names import StageId
from dask_knot.session.decisions import Decision
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, Snapshot, StageSeen

STAGE, NAME = StageId(3, 1), "stage 3.1"


def seen(shards: dict[ShardState, int], **tasks: Count) -> Snapshot:
    return Snapshot((StageSeen(STAGE, shards, tasks),), tasks, 0, 2048, {"read": 1024})


def look(shards: dict[ShardState, int], children: dict[str, int], **tasks: Count) -> Overview:
    states = {JobStatus(name): count for name, count in children.items()}
    return overview(seen(shards, **tasks), {STAGE: states}, 8, {"written": 3072})


@pytest.mark.parametrize(
    ("shards", "children", "row"),
    [
        ({ShardState.OPEN: 5}, {"RUNNABLE": 5}, StageRow(NAME, 5, 0, 0, 0, 0)),
        ({ShardState.OPEN: 5}, {"STARTING": 1, "RUNNING": 2}, StageRow(NAME, 2, 3, 0, 0, 0)),
        # Batch was asked before the last shards ended
        (
            {ShardState.OPEN: 1, ShardState.DONE: 4},
            {"RUNNING": 3},
            StageRow(NAME, 0, 1, 4, 0, 0),
        ),
        (
            {ShardState.DONE: 1, ShardState.FAILED: 2, ShardState.DROPPED: 3},
            {},
            StageRow(NAME, 0, 0, 1, 2, 3),
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


def test_a_stage_says_what_it_runs_and_how_far_it_is() -> None:
    now = look({ShardState.OPEN: 3, ShardState.DONE: 1}, {"RUNNING": 2}, load=Count(3, 1, 1000))
    text = words.stages(now)
    for part in ("<b>stage 3.1</b>", "load &times;1,000", "1 of 4 shards done", "2 running"):
        assert part in text
    assert "1 task erred" in text
    assert "3 of 1,000, 1 erred" in words.tasks(now)
    # a quarter of the bar is done, and as much as waits has no color of its own
    assert re.findall(r"width:([0-9.]+)%", text) == ["25.00", "50.00", "25.00"]


def test_of_many_stages_and_prefixes_the_page_names_some() -> None:
    row = StageSeen(STAGE, {ShardState.OPEN: 1}, {"load": Count(0, 0, 1)})
    now = overview(Snapshot((row,) * (MOST + 5), row.tasks, 0, 0, {}), {}, 8, {})
    assert words.stages(now).count("<b>stage 3.1</b>") == MOST
    assert f"(the last {MOST} of {MOST + 5})" in words.stages(now)
    kinds = {f"<{number}>": Count(total=1) for number in range(NAMED + 3)}
    assert runs(kinds).endswith(f"&lt;{NAMED - 1}&gt; &times;1, and 3 more")


@pytest.mark.parametrize(
    ("shards", "children", "seconds", "said"),
    [
        ({ShardState.OPEN: 1}, {"RUNNING": 1}, 90.0, "90 s so far"),  # until now
        ({ShardState.OPEN: 1}, {"RUNNABLE": 1}, 75.0, "75 s so far"),  # its jobs wait again
        ({ShardState.DONE: 1}, {}, 75.0, "took 75 s"),
    ],
)
def test_a_stage_says_how_long_it_has_run(
    shards: dict[ShardState, int], children: dict[str, int], seconds: float, said: str
) -> None:
    row = StageSeen(STAGE, shards, {"load": Count(1, 0, 2)}, (1000.0, 1075.0))
    states = {JobStatus(name): count for name, count in children.items()}
    now = overview(Snapshot((row,), row.tasks, 0, 0, {}), {STAGE: states}, 8, {}, now=1090.0)
    assert now.stages[0].seconds == seconds
    assert said in words.stages(now)


def test_before_anything_runs_the_page_says_what_to_do() -> None:
    now = overview(Snapshot((), {}, 0, 0, {}), {}, 8, {})
    for write in (words.lists, words.stages, words.tasks):
        assert EMPTY in write(now)
    assert EMPTY not in words.lists(look({ShardState.OPEN: 1}, {}, load=Count(0, 0, 1)))


def test_all_tasks_stay_as_many_when_they_are_planned() -> None:
    waiting = overview(Snapshot((), {}, 7, 0, {}), {}, 8, {})
    assert waiting.count == look({ShardState.OPEN: 1}, {}, load=Count(0, 0, 7)).count
    assert "0 of 7, 7 waiting to be planned" in summary(waiting)


def test_the_numbers_at_the_top_are_named() -> None:
    now = look({ShardState.OPEN: 3, ShardState.FAILED: 1}, {"RUNNING": 2}, load=Count(3, 1, 10))
    text = summary(now)
    for part in ("2 of 8", "3 of 10, 1 erred", "2.00 kiB", "1.00 kiB / 0 B", "0 B / 3.00 kiB"):
        assert part in text
    legend = words.stages(now)
    assert "&nbsp;failed" in legend
    assert "dropped" not in legend, "only colors that are there are explained"


def test_the_last_decisions_are_shown_the_newest_first() -> None:
    many = [Decision(float(number), f"<{number}>") for number in range(DECISIONS + 2)]
    text = decisions(overview(seen({}), {}, 8, {}, many))
    shown = [text.index(f"&lt;{number}&gt;") for number in reversed(range(2, DECISIONS + 2))]
    assert shown == sorted(shown)
    assert "&lt;1&gt;" not in text
    assert "&lt;1&gt;" in words.all_decisions(overview(seen({}), {}, 8, {}, many))
    assert decisions(overview(seen({}), {}, 8, {})) == ""
    assert "No plan has been changed" in words.all_decisions(overview(seen({}), {}, 8, {}))


def test_the_cost_is_shown_where_jobs_cost_anything() -> None:
    free = overview(seen({ShardState.DONE: 1}), {}, 8, {})
    assert "cost so far" not in summary(free)
    assert "USD" not in words.stages(free)
    spent = Spent("0.12 to 0.30 USD", {str(STAGE): "0.11 USD"})
    paid = overview(seen({ShardState.DONE: 1}), {}, 8, {}, (), spent)
    assert "0.12 to 0.30 USD</span><br>cost so far" in summary(paid)
    assert "0.11 USD" in words.stages(paid)
