"""Dask's task stream, fed from manifests: every task of every job with its real times."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

from dask.typing import Key
from dask.utils import parse_timedelta
from distributed.diagnostics.task_stream import TaskStreamPlugin, rectangles

from dask_knot.dashboard.lanes import Lanes, cores
from dask_knot.run.manifest import Kind, Manifest
from dask_knot.run.names import ShardId

TaskMessage = dict[str, Any]

#: Tasks are shown that began so many seconds before what is on the page: jobs tell in parts.
LATE = 30.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tasks of one manifest; a message for each is made only when somebody looks.

    Attributes
    ----------
    first : int
        How many tasks came before.
    slot : int
        The job slot that ran them.
    cores : sequence of int
        The core of the job that ran each.
    keys : sequence of Key
        The keys of the shard's outputs; none if nobody needs them any more.
    """

    first: int
    shard: ShardId
    manifest: Manifest
    slot: int
    cores: Sequence[int]
    keys: Sequence[Key]

    def __len__(self) -> int:
        return len(self.cores)

    def messages(self) -> Iterator[TaskMessage]:
        """Describe the tasks as Dask's workers do.

        Only the keys of outputs are known. Any other task is named by its prefix, its shard and a
        number.
        """
        manifest = self.manifest
        outputs = {(o.start, o.stop): o for o in manifest.outputs} if self.keys else {}
        prefixes = list(manifest.work)
        times, kinds = array("d", manifest.times), array("I", manifest.kinds)
        spans = zip(times[::2], times[1::2], kinds, self.cores, strict=True)
        for number, (start, stop, kind, core) in enumerate(spans, start=self.first):
            output = outputs.get((start, stop))
            has_value = output is not None and output.kind is Kind.FINISHED
            yield {
                "key": self.keys[output.ordinal]
                if output is not None
                else (prefixes[kind // 2], str(self.shard), number),
                "worker": f"slot-{self.slot}",
                "thread": core,
                "status": "error" if kind % 2 else "OK",
                "startstops": [{"action": "compute", "start": start, "stop": stop}],
                "nbytes": output.nbytes if output is not None else 0,
                "typename": manifest.types[output.type][1] if output and has_value else "",
            }


class Stream(TaskStreamPlugin):  # type: ignore[misc]
    """Stands where Dask's own plugin would: that one hears of wanted keys only."""

    def __init__(self) -> None:
        super().__init__(scheduler=None)
        self._most = self.buffer.maxlen or 1
        self._chunks: deque[Chunk] = deque()
        self._lanes = Lanes()
        self._ends: dict[ShardId, list[float]] = {}

    def transition(self, key: Key, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Pass over what Dask sees: the task has been taken from its job's manifest."""

    def take(self, shard: ShardId, manifest: Manifest, keys: Sequence[Key]) -> int | None:
        """Add the tasks of a manifest; give the slot that ran them, if there are any."""
        times = array("d", manifest.times)
        ends = self._ends.pop(shard, [])
        if not manifest.final:
            self._ends[shard] = ends
        if not times:
            return None
        slot = self._lanes.place(shard, min(times[::2]), max(times[1::2]), manifest.final)
        chunk = Chunk(self.index, shard, manifest, slot, cores(times, ends), keys)
        self._chunks.append(chunk)
        self.index += len(chunk)
        while self.index - self._chunks[0].first - len(self._chunks[0]) >= self._most:
            self._chunks.popleft()
        return slot

    def keep(self, is_running: Callable[[ShardId], bool]) -> None:
        """Expect no more of any shard but those that run."""
        self._lanes.keep(is_running)
        self._ends = {shard: ends for shard, ends in self._ends.items() if is_running(shard)}

    def collect(
        self,
        start: str | float | None = None,
        stop: str | float | None = None,
        count: int | None = None,
        start_index: int | None = None,
    ) -> list[TaskMessage]:
        """Give tasks in the order of their ends: see `distributed.Client.get_task_stream`."""
        found = sorted(self._since(start_index or 0), key=_end)
        if start_index is not None:
            return found
        first, last = _moment(start), _moment(stop)
        found = [
            message
            for message in found
            if (first is None or _end(message) >= first) and (last is None or _end(message) < last)
        ]
        if count is None or None not in (first, last):
            return found
        return found[:count] if first is not None else found[max(0, len(found) - count) :]

    def rectangles(
        self,
        istart: int | None,
        istop: int | None = None,
        workers: dict[str, float] | None = None,
        start_boundary: float = 0,
    ) -> dict[str, list[Any]]:
        """Draw the tasks from one index to another, for Dask's pages."""
        first = istart or 0
        messages = list(self._since(first))
        if istop is not None:
            messages = messages[: max(0, istop - first)]
        drawn: dict[str, list[Any]] = rectangles(
            messages, workers=workers, start_boundary=start_boundary - LATE
        )
        return drawn

    def _since(self, index: int) -> Iterable[TaskMessage]:
        """Give the tasks from an index on, in the order in which they came."""
        for chunk in self._chunks:
            if chunk.first + len(chunk) > index:
                skipped = max(0, index - chunk.first)
                yield from list(chunk.messages())[skipped:]


def _end(message: TaskMessage) -> float:
    stop: float = message["startstops"][0]["stop"]
    return stop


def _moment(when: str | float | None) -> float | None:
    """Read a time, or how long ago it was."""
    if isinstance(when, str):
        return float(time() - parse_timedelta(when))
    return when
