"""Simulated Batch and store: jobs wait for others, run task by task, leave manifests, or die.

What waits for what, and what fails with what, is decided by `dask_knot.batch.rules`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
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
from dask_knot.run.manifest import Handed, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import Names, ShardId, StageId
from dask_knot.run.orders import Claimant, Orders
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
    ran: Counter[Key] = field(default_factory=Counter)
    is_terminated: bool = False

    @property
    def status(self) -> JobStatus:
        """The states of the children, rolled up."""
        return roll_up(Counter(self.children))

    @property
    def is_over(self) -> bool:
        """Whether all children ended."""
        return self.status in ENDED

    @property
    def has_started(self) -> bool:
        """Whether no child waits for anything."""
        return all(child in ENDED or child is JobStatus.RUNNING for child in self.children)

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
    orders, claims : dict
        What children of stages were told; who has what shards handed over.
    """

    def __init__(self, random: Random, universe: Universe) -> None:
        self.random = random
        self.universe = universe
        self.jobs: dict[StageId, Job] = {}
        self.objects: dict[str, dict[int, Value]] = {}
        self.written: set[str] = set()
        self.manifests: dict[str, Manifest] = {}
        self.seen: set[str] = set()
        self.orders: dict[StageId, Orders] = {}
        self.claims: dict[ShardId, Claimant] = {}
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
                found.append(ManifestFound(shard, name, self.told(shard, name)))
        return found + failed

    def told(self, shard: ShardId, name: str) -> Manifest:
        """Give a manifest as a client tells it: it claims first what a part has handed over."""
        manifest = self.manifests[name]
        if manifest.handed is None or manifest.final:
            return manifest
        if self.claims.setdefault(shard, Claimant.CLIENT) is Claimant.CLIENT:
            return manifest
        return replace(manifest, handed=Handed((), {}, manifest.handed.extra))

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
        if (job.stage.resources.memory or 0) > self.universe.largest:
            self._end(job, id.index, Ending.NOT_STARTED, "too large")
            return
        values = {key: Value(key) for key in shard.literals}
        values |= {key: self._read(key, job.sources[key]) for key in shard.inputs}
        child = Child(id, shard, values)
        while (key := child.begin(self.claims)) is not None:
            asked = self.orders.get(id.stage, Orders()).asked
            if (
                id.index in asked
                and self.random.random() < 0.5
                and child.hand_over(key, self.reads)
            ):
                self._commit(child, final=False)
            if self.random.random() < self.may_lose_hosts:
                self._end(job, id.index, Ending.HOST_LOST, "host")
                return
            roots = [values[read].roots for read in self.universe.tasks[key].dependencies]
            blame = frozenset[str]().union(*roots)
            if not blame and key in self.universe.poison:
                self._end(job, id.index, self.random.choice(SUSPICIOUS), str(key))
                return
            memory = job.stage.resources.memory
            if not blame and memory is not None and memory < self.universe.needs.get(key, 0):
                self._end(job, id.index, Ending.MEMORY, str(key))
                return
            if not blame and key in self.universe.raising:
                blame = frozenset((str(key),))
            values[key] = Value(key, blame)
            job.ran[key] += 1
            if self.random.random() < 0.2:
                self._commit(child, final=False)
            yield
        self._commit(child, final=True)

    def _read(self, key: Key, source: Source) -> Value:
        if isinstance(source, Exception):
            return Value(key, blamed(source))
        if not isinstance(source, Place):
            name = NAMES.manifest(source[0])
            if name not in self.objects:
                raise DeletedTooEarly(f"{key}: {name}")
            outputs = {output.ordinal: output for output in self.manifests[name].outputs}
            if source[1] not in outputs:
                raise DeletedTooEarly(f"{key}: it was handed over")
            source = outputs[source[1]].place
        if source.name not in self.objects:
            raise DeletedTooEarly(f"{key}: {source.name}")
        value = self.objects[source.name][source.offset]
        assert value.key == key, f"{key} was read where {value.key} is"
        return value

    def reads(self, key: Key) -> Set[Key]:
        """Tell what a task reads."""
        return self.universe.tasks[key].dependencies

    def _commit(self, child: Child, final: bool) -> None:
        """Write what is new: some of it inside the manifest, the rest in an object of its own."""
        part = None if final else child.parts
        name = NAMES.manifest(child.id, part)
        data = NAMES.data(child.id, 999 if part is None else part, 1)
        new = [n for n, k in child.outputs() if k in child.values and n not in child.committed]
        if not (final or new or child.is_handing):
            return
        held: dict[str, dict[int, Value]] = {name: {}}
        keys = dict(child.outputs())
        for n in new:
            value = child.values[keys[n]]
            place = Place(self.random.choice((name, data)), n, 1)
            held.setdefault(place.name, {})[n] = value
            kind = Kind.ERRED if value.roots else Kind.FINISHED
            child.committed[n] = Output(n, kind, place, 8, 0, 0.0, 1.0)
        for written, inside in held.items():
            self.write(written, inside)
        outputs = [*child.committed.values()] if final else [child.committed[n] for n in new]
        handed = child.handed if final or child.is_handing else None
        work = {"task": Work(child.news, 0.1 * child.news, 8, 1)}
        self.manifests[name] = Manifest(final, 1, outputs, [(b"t", "int")], work, handed=handed)
        child.parts, child.news, child.is_handing = child.parts + 1, 0, False


@dataclass(slots=True)
class Child:
    """A child at work: what it has done, gives up, and has left.

    Attributes
    ----------
    kept : list of Key
        Tasks that it hasn't begun and will run.
    given : list of Key
        Tasks that it has given up, unless nobody claims them.
    """

    id: ShardId
    shard: Shard
    values: dict[Key, Value]
    committed: dict[int, Output] = field(default_factory=dict)
    parts: int = 0
    news: int = 0
    kept: list[Key] = field(default_factory=list)
    given: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)
    handed: Handed | None = None
    has_asked: bool = False
    is_handing: bool = False

    def __post_init__(self) -> None:
        self.kept = list(self.shard.tasks)

    def outputs(self) -> list[tuple[int, Key]]:
        """Number its outputs, and after them what it keeps for others."""
        return list(enumerate((*self.shard.outputs, *self.extra)))

    def begin(self, claims: dict[ShardId, Claimant]) -> Key | None:
        """Begin the next task; what it gave up is taken back if nobody has claimed it by then."""
        if not self.kept and self.given:
            if claims.setdefault(self.id, Claimant.CHILD) is Claimant.CHILD:
                self.kept, self.handed = self.given, Handed((), {}, self.extra)
            self.given = []
        self.news += bool(self.kept)
        return self.kept.pop(0) if self.kept else None

    def _has_failed(self, key: Key) -> bool:
        return key in self.values and bool(self.values[key].roots)

    def hand_over(self, running: Key, reads: Callable[[Key], Set[Key]]) -> bool:
        """Give up what doesn't need what runs or is kept; tell whether that is anything."""
        if self.has_asked:
            return False
        held = {running, *(key for key in self.shard.tasks if self._has_failed(key))}
        given: set[Key] = set()
        for key in self.kept:
            if given.isdisjoint(reads(key)) and not held.isdisjoint(reads(key)):
                held.add(key)
            else:
                given.add(key)
        self.given = [key for key in self.kept if key in given]
        if given.isdisjoint(self.shard.outputs):
            return False
        self.kept = [key for key in self.kept if key not in given]
        needed = {read for key in self.given for read in reads(key)}
        extra = [
            k
            for k in self.shard.tasks
            if k in needed and k not in given and k not in self.shard.outputs
        ]
        ordinals = [n for n, key in enumerate(self.shard.outputs) if key in self.given]
        self.extra = extra
        self.handed = Handed(ordinals, {"task": len(self.given)}, extra)
        self.has_asked = self.is_handing = True
        return True


def _upstream(id: StageId, upstream: object) -> StageId:
    if isinstance(upstream, EarlierStage):
        assert isinstance(upstream.id, StageId)
        return upstream.id
    assert isinstance(upstream, int)
    return StageId(id.plan, upstream)


def _wait(type: DependencyType) -> Wait:
    return Wait.N_TO_N if type is DependencyType.N_TO_N else Wait.ALL
