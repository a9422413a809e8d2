"""A Batch in virtual time: children boot, work as long as they are told, and leave manifests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dask.typing import Key

from dask_knot.run import codec, work
from dask_knot.run.manifest import INSIDE, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ManifestId, ShardId, parse_pack
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import ShardOutput, ShardWork
from tests.local.recording import RecordingBatch, Request


@dataclass
class Array:
    """What was submitted at once."""

    url: str
    size: int
    waits_for: set[str]
    done: set[int] = field(default_factory=set)


class VirtualBatch(RecordingBatch):
    """Starts children when what they depend on has ended; none is ever short of a machine.

    Parameters
    ----------
    loop : AbstractEventLoop
        Its clock is the only one.
    store : Store
        Where packs and manifests are.
    boot : float
        Seconds from the moment in which a child may start until it does.
    seconds : callable
        Tells how long a task takes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        store: Store,
        boot: float,
        seconds: Callable[[Key], float],
    ) -> None:
        super().__init__()
        self._loop = loop
        self._store = store
        self._boot = boot
        self._seconds = seconds
        self.arrays: dict[str, Array] = {}
        self.ends: list[tuple[float, str, int]] = []

    def submit_job(self, **request: Any) -> Request:
        answer = super().submit_job(**request)
        url = request["containerOverrides"]["command"][-1]
        size = request.get("arrayProperties", {}).get("size", 1)
        before = {dependency["jobId"] for dependency in request.get("dependsOn", ())}
        waits_for = {id for id in before if not self._is_over(id)}
        self.arrays[answer["jobId"]] = Array(url, size, waits_for)
        self._note_counts(answer["jobId"])
        if not waits_for:
            self._start(answer["jobId"])
        return answer

    def _is_over(self, id: str) -> bool:
        return len(self.arrays[id].done) == self.arrays[id].size

    def _start(self, id: str) -> None:
        for index in range(self.arrays[id].size):
            self._loop.call_later(self._boot, self._run, id, index)

    def _run(self, id: str, index: int) -> None:
        _, name, stage = parse_pack(self.arrays[id].url)
        run, shard = Run(self._store, name), ShardId(stage, index)
        todo = work.decode(run.read_shard(shard).frames)
        took = sum(self._seconds(node.key) for node in todo.tasks)
        self._loop.call_later(took, self._end, id, run, shard, todo)

    def _end(self, id: str, run: Run, shard: ShardId, todo: ShardWork) -> None:
        run.write_manifest(ManifestId(shard, None), *self._done(run, todo))
        array = self.arrays[id]
        array.done.add(shard.index)
        self.ends.append((self._loop.time(), id, shard.index))
        self._note_counts(id)
        if self._is_over(id):
            for other, waiting in self.arrays.items():
                if id in waiting.waits_for:
                    waiting.waits_for.discard(id)
                    if not waiting.waits_for:
                        self._start(other)

    def _done(self, run: Run, todo: ShardWork) -> tuple[Manifest, list[bytes]]:
        """Run the tasks of a shard, and write down what came out."""
        values = {key: self._read(run, source) for key, source in todo.inputs.items()}
        for node in (*todo.literals, *todo.tasks):
            values[node.key] = node({key: values[key] for key in node.dependencies})
        inline, outputs, position = [], [], 0
        for number, key in enumerate(todo.outputs):
            data = b"".join(codec.encode(values[key]))
            place = Place(INSIDE, position, len(data))
            outputs.append(Output(number, Kind.FINISHED, place, sys.getsizeof(data), 0, 0.0, 0.0))
            inline.append(data)
            position += len(data)
        types = [(b"", "object")]
        done = {"task": Work(len(todo.tasks), sum(self._seconds(n.key) for n in todo.tasks))}
        return Manifest(True, 1, outputs, types, done), inline

    def _read(self, run: Run, source: Any) -> Any:
        if isinstance(source, ShardOutput):
            made = run.read_manifest(ManifestId(source.shard, None)).manifest
            source = made.outputs[source.ordinal].place
        return codec.decode(run.read_value(source))

    def _note_counts(self, id: str) -> None:
        array = self.arrays[id]
        left = array.size - len(array.done)
        detail: dict[str, Any] = self.details[id]
        status = "SUCCEEDED" if not left else "PENDING" if array.waits_for else "RUNNING"
        summary: Mapping[str, int] = {"SUCCEEDED": len(array.done), status: left or array.size}
        detail["status"] = status
        if array.size > 1:
            detail["arrayProperties"] = {"size": array.size, "statusSummary": dict(summary)}
