"""A Batch in virtual time: children boot, work as long as they are told, and leave manifests.

The rules are those of `dask_knot.batch.rules`. What is terminated goes on, unless
it is told otherwise.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dask.typing import Key

from dask_knot.batch.rules import (
    DEPENDENCY_FAILED,
    ENDED,
    JobStatus,
    Wait,
    check_move,
    roll_up,
    status_behind,
    status_summary,
    upstream,
)
from dask_knot.batch.twins import CHILD
from dask_knot.run import codec, work
from dask_knot.run.manifest import INSIDE, Handed, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ManifestId, ShardId, parse_pack
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import ShardOutput, ShardWork
from tests.local.recording import RecordingBatch, Request


@dataclass
class Array:
    """What was submitted at once: the states of its children, and what they wait for.

    `first` is the shard that the first of them runs.
    """

    url: str
    children: list[JobStatus]
    awaited: list[tuple[Wait, Array]]
    first: int = 0

    @property
    def size(self) -> int:
        """The number of children; a job is its own only child."""
        return len(self.children)

    @property
    def counts(self) -> Counter[JobStatus]:
        """The number of children in each state."""
        return Counter(self.children)

    @property
    def status(self) -> JobStatus:
        """The state of the whole."""
        return self.children[0] if self.size == 1 else roll_up(self.counts)

    def status_of_waiting(self, index: int) -> JobStatus:
        """Find the state of a child that hasn't started, from what it waits for."""
        awaited = [
            upstream(wait, index, other.status, other.children) for wait, other in self.awaited
        ]
        return status_behind(status for status in awaited if status is not None)

    def move(self, index: int, *path: JobStatus) -> None:
        """Let a child pass some states, one after the other."""
        for status in path:
            check_move(self.children[index], status)
            self.children[index] = status


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

    Attributes
    ----------
    arrays : dict of str to Array
        By their ids.
    ends : list of (float, str, int)
        When which child of which array ended by itself.
    failing : dict of (str, int) to mapping
        Children that commit nothing, and what `describe_jobs` then says of them.
    ran : Counter
        How often each task was done.
    terminates : bool
        Whether what is terminated ends.
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
        self.failing: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.ran: Counter[Key] = Counter()
        self.handed: dict[ShardId, Handed] = {}
        self.is_stopped = False
        self.terminates = False

    def stop(self) -> None:
        """End all jobs at once, as with the machine: nothing is committed any more."""
        self.is_stopped = True
        for id, array in self.arrays.items():
            for index, status in enumerate(array.children):
                if status not in ENDED:
                    array.move(index, JobStatus.FAILED)
            self._note_state(id)

    def terminate_job(self, *, jobId: str, reason: str) -> Request:
        """Note it; and end the job, if `terminates`."""
        answer = super().terminate_job(jobId=jobId, reason=reason)
        array = self.arrays[jobId]
        for index, status in enumerate(array.children if self.terminates else ()):
            if status not in ENDED:
                array.move(index, JobStatus.FAILED)
                self._note_failure(jobId, index, {"statusReason": reason, "isTerminated": True})
        self._settle()
        return answer

    def submit_job(self, **request: Any) -> Request:
        answer = super().submit_job(**request)
        awaited = [
            (Wait(dependency.get("type")), self.arrays[dependency["jobId"]])
            for dependency in request.get("dependsOn", ())
        ]
        size = request.get("arrayProperties", {}).get("size", 1)
        command = request["containerOverrides"]["command"]
        url, first = (command[-3], int(command[-1])) if CHILD in command else (command[-1], 0)
        self.arrays[answer["jobId"]] = Array(url, [JobStatus.SUBMITTED] * size, awaited, first)
        self._settle()
        return answer

    def take_up(self, url: str, index: int) -> tuple[float, Callable[[], object]]:
        """Read the work of a child; give the seconds that it takes, and what commits it."""
        _, name, stage = parse_pack(url)
        run, shard = Run(self._store, name), ShardId(stage, index)
        todo = work.decode(run.read_shard(shard).frames)
        took = sum(self._seconds(node.key) for node in todo.tasks)

        def commit() -> None:
            handed = self.handed.get(shard)
            given = {todo.outputs[n] for n in handed.outputs} if handed else set()
            self.ran.update(node.key for node in todo.tasks if node.key not in given)
            done, inline = self._done(run, todo, given)
            run.write_manifest(ManifestId(shard, None), replace(done, handed=handed), inline)

        return took, commit

    def hand_over(self, run: Run, shard: ShardId, *ordinals: int) -> None:
        """Let a child give up some of its tasks, each of which makes an output."""
        handed = self.handed[shard] = Handed(ordinals, {"task": len(ordinals)})
        run.write_manifest(ManifestId(shard, 0), Manifest(False, 1, [], handed=handed), [])

    def _settle(self) -> None:
        """Start whatever may start now, and fail whatever never may; in the order of submission."""
        for id, array in self.arrays.items():
            for index, status in enumerate(array.children):
                if status in (JobStatus.SUBMITTED, JobStatus.PENDING):
                    self._release(id, index, status)
            self._note_state(id)

    def _release(self, id: str, index: int, before: JobStatus) -> None:
        array = self.arrays[id]
        now = array.status_of_waiting(index)
        if now is JobStatus.RUNNABLE:
            array.move(index, now, JobStatus.STARTING)  # there is always a machine
            self._loop.call_later(self._boot, self._run, id, index)
        elif now is not before:
            array.move(index, now)
            if now is JobStatus.FAILED:
                self._note_failure(id, index, {"statusReason": DEPENDENCY_FAILED})

    def _run(self, id: str, index: int) -> None:
        array = self.arrays[id]
        if array.children[index] in ENDED:
            return
        array.move(index, JobStatus.RUNNING)
        self._note_state(id)
        seconds, commit = self.take_up(array.url, array.first + index)
        self._loop.call_later(seconds, self._end, id, index, commit)

    def _end(self, id: str, index: int, commit: Callable[[], object]) -> None:
        if self.arrays[id].children[index] in ENDED:
            return
        self.ends.append((self._loop.time(), id, index))
        failure = self.failing.get((id, index))
        if failure is None:
            commit()
            self.arrays[id].move(index, JobStatus.SUCCEEDED)
        else:
            self.arrays[id].move(index, JobStatus.FAILED)
            self._note_failure(id, index, failure)
        self._settle()

    def _note_failure(self, id: str, index: int, detail: Mapping[str, Any]) -> None:
        """Let `describe_jobs` and `list_jobs` say why a child failed."""
        if self.arrays[id].size == 1:
            self.details[id] |= detail
        else:
            self.fail_child(id, index, **({"container": {}} | dict(detail)))

    def _note_state(self, id: str) -> None:
        array, detail = self.arrays[id], self.details[id]
        detail["status"] = array.status.value
        if array.size > 1:
            summary = status_summary(array.counts)
            detail["arrayProperties"] = {"size": array.size, "statusSummary": summary}

    def _done(
        self, run: Run, todo: ShardWork, given: Collection[Key]
    ) -> tuple[Manifest, list[bytes]]:
        """Run the tasks of a shard, and write down what came out."""
        values = {key: self._read(run, source) for key, source in todo.inputs.items()}
        for node in (*todo.literals, *todo.tasks):
            values[node.key] = node({key: values[key] for key in node.dependencies})
        inline, outputs, position = [], [], 0
        for number, key in enumerate(todo.outputs):
            if key in given:
                continue
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
