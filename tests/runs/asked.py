"""Children that look at what is asked when a test lets time pass; nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dask_knot.run.asks import Answer, PresentTask, Vitals, fit
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run
from dask_knot.runs.depot import Depot
from dask_knot.runs.inquiry import Crew


class AskedChild:
    """A child that runs some keys, and answers as a job does."""

    def __init__(self, run: Run, shard: ShardId, *keys: str, tells_all: bool = True) -> None:
        self.run, self.shard, self.keys = run, shard, keys
        self.job = f"job-{shard.stage.stage}:{shard.index}"
        self._tells_all = tells_all
        self._told = 0

    def look(self) -> None:
        """Answer what is asked."""
        asks = self.run.inquiries.read(self.shard.stage)
        tasks = tuple(PresentTask(key, 5.0) for key in self.keys)
        for question in asks.questions:
            is_meant = fit(question.text, self.shard, self.job, list(self.keys)) > 0
            if is_meant or self._tells_all:
                stacks = f"stacks of {self.job}" if is_meant else ""
                answer = Answer(self.job, "1", "host", 12, "/tmp", tasks, stacks)
                self.run.inquiries.answer(question.id, self.shard, answer)
        if asks.watch:
            vitals = Vitals(
                asks.watch, self._told, self.job, "host", 12, 0.5, 1, 2**20, 2**30, tasks
            )
            self._told += 1
            self.run.inquiries.tell_vitals(self.shard, vitals)


class Time:
    """Time that passes when somebody pauses; children look at each pause."""

    def __init__(self, children: Sequence[AskedChild] = ()) -> None:
        self.children = list(children)
        self.seconds = 0.0

    def now(self) -> float:
        """Tell the time."""
        return self.seconds

    def pause(self, seconds: float) -> None:
        """Let it pass."""
        self.seconds += seconds
        for child in self.children:
            child.look()


def crew(run: Run, shards: Sequence[ShardId], engine: str = "local") -> Crew:
    """Make the jobs of a run that are under way."""
    return Crew(run, engine, shards, Depot(run.store_url, engine, None))


def left(folder: Path) -> list[str]:
    """Name what is left of questions in a store that is a folder."""
    return [str(path) for path in folder.rglob("*") if path.is_file()]
