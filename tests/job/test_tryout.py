"""Tasks that are tried run until they are warm: the last time counts, and changes nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dask_knot.job import tryout
from dask_knot.run.failure import Failure
from dask_knot.run.names import ShardId
from dask_knot.run.work import Options
from tests.job.runs import FIRST, Rehearsal, ref, shard, task

TRIAL = Options(is_trial=True)
CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    CALLS.clear()


def cold(number: int) -> int:
    """Take longer when called for the first time, as what imports something does."""
    time.sleep(0.02 if CALLS else 0.3)
    CALLS.append(number)
    return number


def grow(found: list[int]) -> list[int]:
    """Change what it reads, as it shouldn't."""
    found.append(len(found))
    CALLS.append(len(found))
    return found


def give() -> list[int]:
    """Make something that can be changed."""
    return []


def fail() -> None:
    """Raise."""
    CALLS.append("failed")
    raise ValueError("never mind")


def test_the_first_time_is_told_apart(run: Rehearsal) -> None:
    assert run.outcomes(shard([task("cold-1", cold, 5)], options=TRIAL)) == {"cold-1": 5}
    work = run.manifest(ShardId(FIRST, 0)).work["cold"]
    assert len(CALLS) == 3
    assert work.tasks == 1
    assert work.seconds < 0.2 < work.startup < 0.4
    assert work.seconds == work.longest


def test_a_task_that_changes_what_it_reads_gives_what_it_gives_without(run: Rehearsal) -> None:
    tasks = [task("give-1", give), task("grow-1", grow, ref("give-1"))]
    found = run.outcomes(shard(tasks, ["grow-1"], options=TRIAL))
    assert CALLS == [1, 1, 1]
    assert found == {"grow-1": [0]}


def test_what_takes_long_runs_once(run: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tryout, "LONG", 0.1)
    assert run.outcomes(shard([task("cold-1", cold, 5)], options=TRIAL)) == {"cold-1": 5}
    assert CALLS == [5]


def test_what_raises_runs_once(run: Rehearsal) -> None:
    found = run.outcomes(shard([task("fail-1", fail)], options=TRIAL))
    assert isinstance(found["fail-1"], Failure)
    assert CALLS == ["failed"]


class Stuck:
    """Can't be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("no")


def stick() -> Stuck:
    """Make what can't be copied."""
    return Stuck()


def look(found: Stuck) -> str:
    """Read it."""
    CALLS.append("looked")
    return type(found).__name__


def test_what_cant_be_copied_runs_once(run: Rehearsal) -> None:
    tasks = [task("stick-1", stick), task("look-1", look, ref("stick-1"))]
    assert run.outcomes(shard(tasks, ["look-1"], options=TRIAL)) == {"look-1": "Stuck"}
    assert CALLS == ["looked"]


def test_what_isnt_tried_runs_once(run: Rehearsal) -> None:
    assert run.outcomes(shard([task("cold-1", cold, 5)])) == {"cold-1": 5}
    assert CALLS == [5]
