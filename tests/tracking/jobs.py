"""Simulated Batch and store: jobs wait for others, run task by task, leave manifests, or die.

What waits for what, and what fails with what, is decided by `dask_knot.batch.rules`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from dask.typing import Key

from dask_knot.batch.rules import (
    ENDED,
    STARTED,
    JobStatus,
    Wait,
    check_move,
    roll_up,
    status_behind,
    upstream,
)
from dask_knot.errors import JobError
from dask_knot.planning import DependencyType, EarlierStage, Shard, Stage
from dask_knot.run.manifest import Kind, Manifest, Output, Place, Work
from dask_knot.run.names import Names, ShardId, StageId
from dask_knot.tracking.actions import SubmitPlan
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound, SubmissionFailed

from .universe import Universe

NAMES = Names("run")
Source = Place | tuple[ShardId, int] | Exception
SUSPICIOUS = (Ending.KILLED, Ending.MEMORY, Ending.TIMEOUT)


class DeletedTooEarly(AssertionError):
    """A shard that is needed read something that was deleted or never written."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an object holds of a key: a good value, or the tasks to blame (`roots`)."""

    key: Key
    roots: frozenset[str] = frozenset()


def blamed(error: Exception) -> frozenset[str]:
    """Read from a simulated error whom it blames."""
    return frozenset(error.job_id.split()) if isinstance(error, JobError) else frozenset(("gone",))


@dataclass(slots=True)
class Job:
    """A stage that was submitted."""

    stage: Stage
    sources: Mapping[Key, Source]
    waits: list[tuple[StageId, Wait]]
    children: list[JobStatus]
    endings: dict[int, Ending] = field(default_factory=dict)
    blame: dict[int, str] = field(default_factory=dict)
    running: dict[int, Iterator[None]] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)
    is_terminated: bool = False

    @property
    def status(self) -> JobStatus:
        """The states of the children, rolled up."""
        return roll_up(Counter(self.children))

    @property
    def is_over(self) -> bool:
        """Whether all children ended."""
        return self.status in ENDED

    def move(self, child: int, *path: JobStatus) -> None:
        """Move a child on, as Batch may."""
        for status in path:
            check_move(self.children[child], status)
            self.children[child] = status


class Jobs:
    """Runs what is submitted.

    Attributes
    ----------
    objects : dict of str to dict of int to Value
        The store: packs, manifests and data by name, values in them by offset.
    written : set of str
        Every name that was ever written.
    """

    def __init__(self, random: Random, universe: Universe) -> None:
        self.random = random
        self.universe = universe
        self.jobs: dict[StageId, Job] = {}
        self.objects: dict[str, dict[int, Value]] = {}
        self.written: set[str] = set()
        self.manifests: dict[str, Manifest] = {}
        self.seen: set[str] = set()
        self.may_lose_hosts = 0.0

    def write(self, name: str, values: dict[int, Value]) -> None:
        """Put an object into the store."""
        assert name not in self.written, f"{name} was written twice"
        self.written.add(name)
        self.objects[name] = values

    def submit(self, action: SubmitPlan, refused: float) -> Iterator[SubmissionFailed]:
        """Take in a plan; a stage is refused with some probability, or if one before it was."""
        sources: dict[Key, Source] = dict(action.inputs)
        for index, stage in enumerate(action.plan.stages):
            id = StageId(action.number, index)
            waits = [(_upstream(id, d.upstream), _wait(d.type)) for d in stage.depends_on]
            if self.random.random() < refused or any(up not in self.jobs for up, _ in waits):
                yield SubmissionFailed(id, JobError("refused", "trouble"))
            else:
                self.write(NAMES.pack(id), {})
                children = [JobStatus.SUBMITTED] * len(stage.shards)
                self.jobs[id] = Job(stage, dict(sources), waits, children)
            for child, shard in enumerate(stage.shards):
                made = ShardId(id, child)
                sources.update((key, (made, n)) for n, key in enumerate(shard.outputs))

    def terminate(self, id: StageId) -> None:
        """End a job; what runs may still leave its manifest before it dies."""
        if id in self.jobs:
            self.jobs[id].is_terminated = True

    def step(self, is_needed: Mapping[ShardId, bool]) -> bool:
        """Let one child go one task further; tell whether there was one."""
        self._end_what_must()
        self._release()
        ready = [
            ShardId(id, n)
            for id, job in self.jobs.items()
            for n, child in enumerate(job.children)
            if child is JobStatus.RUNNABLE or child in STARTED
        ]
        if not ready:
            return False
        shard = self.random.choice(ready)
        self._advance(shard, is_needed.get(shard, False))
        return True

    def look(
        self, stages: list[StageId], asked: list[StageId]
    ) -> list[ManifestFound | ChildFailed]:
        """See new manifests of `stages`, and failed children of `asked`."""
        failed = [found for id in asked for found in self._failed(id)]
        new = [name for name in self.manifests if name not in self.seen]
        found: list[ManifestFound | ChildFailed] = []
        for name in sorted(new):
            shard, *_ = NAMES.parse_manifest(name)
            if shard.stage in stages and name in self.objects:
                self.seen.add(name)
                found.append(ManifestFound(shard, name, self.manifests[name]))
        return found + failed

    def _failed(self, id: StageId) -> Iterator[ChildFailed]:
        job = self.jobs.get(id)
        for n in sorted(job.endings.keys() - job.reported) if job else ():
            assert job is not None
            job.reported.add(n)
            error = JobError("a job failed", job.blame[n])
            yield ChildFailed(ShardId(id, n), job.endings[n], error)

    def _end_what_must(self) -> None:
        for job in self.jobs.values():
            for n, child in enumerate(job.children):
                has_started = child in STARTED
                if child in ENDED or not job.is_terminated:
                    continue
                if not has_started or self.random.random() < 0.5:
                    self._end(job, n, Ending.TERMINATED, "terminated")

    def _release(self) -> None:
        """Let children start whose upstream has succeeded; fail those behind what failed."""
        for job in self.jobs.values():  # upstream jobs come first
            for n, child in enumerate(job.children):
                if child not in (JobStatus.SUBMITTED, JobStatus.PENDING):
                    continue
                status = status_behind(self._awaited(job, n))
                if status is JobStatus.FAILED:
                    self._end(job, n, Ending.DEPENDENCY_FAILED, "dependency")
                elif status is not child:
                    job.move(n, status)

    def _awaited(self, job: Job, child: int) -> Iterator[JobStatus]:
        for id, wait in job.waits:
            before = self.jobs[id]
            status = upstream(wait, child, before.status, before.children)
            if status is not None:
                yield status

    def _end(self, job: Job, child: int, ending: Ending, blame: str) -> None:
        job.move(child, JobStatus.FAILED)
        job.endings[child] = ending
        job.blame[child] = blame
        job.running.pop(child, None)

    def _advance(self, shard: ShardId, is_needed: bool) -> None:
        job = self.jobs[shard.stage]
        if shard.index not in job.running:
            job.move(shard.index, JobStatus.STARTING, JobStatus.RUNNING)
            job.running[shard.index] = self._run(shard, job)
        try:
            next(job.running[shard.index])
        except StopIteration:
            job.running.pop(shard.index, None)
            if job.children[shard.index] is JobStatus.RUNNING:
                job.move(shard.index, JobStatus.SUCCEEDED)
        except DeletedTooEarly:
            if is_needed:
                raise
            self._end(job, shard.index, Ending.KILLED, "unneeded")

    def _run(self, id: ShardId, job: Job) -> Iterator[None]:
        shard = job.stage.shards[id.index]
        if NAMES.pack(id.stage) not in self.objects:
            raise DeletedTooEarly(f"the pack of {id}")
        values = {key: Value(key) for key in shard.literals}
        values |= {key: self._read(key, job.sources[key]) for key in shard.inputs}
        committed: dict[int, Output] = {}
        parts = 0
        for key in shard.tasks:
            if self.random.random() < self.may_lose_hosts:
                self._end(job, id.index, Ending.HOST_LOST, "host")
                return
            roots = [values[read].roots for read in self.universe.tasks[key].dependencies]
            blame = frozenset[str]().union(*roots)
            if not blame and key in self.universe.poison:
                self._end(job, id.index, self.random.choice(SUSPICIOUS), str(key))
                return
            if not blame and key in self.universe.raising:
                blame = frozenset((str(key),))
            values[key] = Value(key, blame)
            if self.random.random() < 0.2:
                self._commit(id, shard, values, committed, parts)
                parts += 1
            yield
        self._commit(id, shard, values, committed, None)

    def _read(self, key: Key, source: Source) -> Value:
        if isinstance(source, Exception):
            return Value(key, blamed(source))
        if not isinstance(source, Place):
            name = NAMES.manifest(source[0])
            if name not in self.objects:
                raise DeletedTooEarly(f"{key}: {name}")
            outputs = {output.ordinal: output for output in self.manifests[name].outputs}
            source = outputs[source[1]].place
        if source.name not in self.objects:
            raise DeletedTooEarly(f"{key}: {source.name}")
        value = self.objects[source.name][source.offset]
        assert value.key == key, f"{key} was read where {value.key} is"
        return value

    def _commit(
        self,
        id: ShardId,
        shard: Shard,
        values: Mapping[Key, Value],
        committed: dict[int, Output],
        part: int | None,
    ) -> None:
        """Write what is new: some of it inside the manifest, the rest in an object of its own."""
        name = NAMES.manifest(id, part)
        data = NAMES.data(id, 999 if part is None else part, 1)
        new = [n for n, k in enumerate(shard.outputs) if k in values and n not in committed]
        if part is not None and not new:
            return
        held: dict[str, dict[int, Value]] = {name: {}}
        for n in new:
            value = values[shard.outputs[n]]
            place = Place(self.random.choice((name, data)), n, 1)
            held.setdefault(place.name, {})[n] = value
            kind = Kind.ERRED if value.roots else Kind.FINISHED
            committed[n] = Output(n, kind, place, 8, 0, 0.0, 1.0)
        for written, inside in held.items():
            self.write(written, inside)
        outputs = list(committed.values()) if part is None else [committed[n] for n in new]
        work = {"task": Work(len(shard.tasks), 0.1 * len(shard.tasks), 8, 1)}
        self.manifests[name] = Manifest(part is None, 1, outputs, [(b"t", "int")], work)


def _upstream(id: StageId, upstream: object) -> StageId:
    if isinstance(upstream, EarlierStage):
        assert isinstance(upstream.id, StageId)
        return upstream.id
    assert isinstance(upstream, int)
    return StageId(id.plan, upstream)


def _wait(type: DependencyType) -> Wait:
    return Wait.N_TO_N if type is DependencyType.N_TO_N else Wait.ALL
