"""What jobs did cost: what Batch tells of their attempts, joined with what manifests tell. Pure.

Batch's word counts for times, since it has attempts that left no manifest; manifests tell on which
machine an attempt ran, and what it did. An attempt without a manifest ran on the same machine as
others on its container instance; if there are none, nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dask_knot.batch.attempts import Child, Stay
from dask_knot.planning import Resources
from dask_knot.plural import many
from dask_knot.prices.attempt import PaidAttempt
from dask_knot.run.machine import LOCAL, UNKNOWN, Machine
from dask_knot.run.names import TWIN, ShardId, StageId
from dask_knot.runs.attendance import Attendance, Attended

MIB = 2**20
#: Batch starts a child so often at most.
MOST_ATTEMPTS = 10


class CostedJob(NamedTuple):
    """A job or array job whose cost is asked.

    Attributes
    ----------
    stage : StageId
        What it runs.
    id : str
        Its id; empty if nobody knows it.
    size : int
        How many children it has.
    resources : Resources
        What each was to have.
    twin : int or None
        The child of the stage that it runs a second time; None: it is the stage's own job.
    """

    stage: StageId
    id: str
    size: int
    resources: Resources
    twin: int | None = None

    def children(self) -> Iterator[tuple[str, ShardId]]:
        """Name its children at Batch, and the shards that they run."""
        if self.twin is not None:
            yield self.id, ShardId(self.stage, self.twin)
        else:
            for index in range(self.size):
                id = self.id if self.size == 1 or not self.id else f"{self.id}:{index}"
                yield id, ShardId(self.stage, index)


class Costing:
    """Makes attempts that are paid of all that is known.

    Parameters
    ----------
    attendance : Attendance
        What manifests tell.
    known : mapping of str to Child
        What Batch tells, by the id of the job or child.
    here : Machine
        What is known of machines that nobody tells of.
    now : float
        Until when what runs is counted.

    Attributes
    ----------
    untold : int
        Attempts of which Batch has told nothing, so that their times are those of manifests.
    """

    def __init__(
        self, attendance: Attendance, known: Mapping[str, Child], here: Machine, now: float
    ) -> None:
        self._attended = dict(attendance.attempts)
        self._known = known
        self._here = here
        self._now = now
        self._instances: dict[str, Machine] = {}
        self.untold = 0

    @property
    def notes(self) -> list[str]:
        """Say what is less exact than it could be."""
        if not self.untold:
            return []
        return [
            f"times of {many('attempt', self.untold)} are taken from manifests, because "
            "Batch doesn't give them: container start-up and lost attempts aren't included"
        ]

    def attempts(self, jobs: Iterable[CostedJob]) -> list[PaidAttempt]:
        """Give all attempts of some jobs."""
        every = [(job, id, shard) for job in jobs for id, shard in job.children()]
        for job, id, shard in every:
            self._learn(job, shard, self._known.get(id))
        return [one for job, id, shard in every for one in self._of(job, id, shard)]

    def _learn(self, job: CostedJob, shard: ShardId, child: Child | None) -> None:
        """Note which machines container instances are."""
        for stay in child.stays if child is not None else ():
            attended = self._attended.get((shard, _number(job, stay)))
            if stay.instance and attended is not None and attended.machine.type:
                self._instances[stay.instance] = attended.machine

    def _of(self, job: CostedJob, id: str, shard: ShardId) -> Iterator[PaidAttempt]:
        child = self._known.get(id)
        if child is None:
            yield from self._untold(job, shard)
            return
        for stay in child.stays:
            attended = self._attended.get((shard, _number(job, stay)))
            told = child.machine, self._instances.get(stay.instance, UNKNOWN), self._here
            yield _paid(
                job,
                attended or Attended(),
                _joined((attended.machine if attended else UNKNOWN), *told),
                _size(child) if child.vcpus else job.resources,
                (stay.started, self._now if stay.stopped is None else stay.stopped),
            )

    def _untold(self, job: CostedJob, shard: ShardId) -> Iterator[PaidAttempt]:
        """Give the attempts that manifests tell of; nobody knows of others."""
        first = 1 if job.twin is None else TWIN + 1
        for number in range(first, first + MOST_ATTEMPTS):
            attended = self._attended.get((shard, number))
            if attended is None:
                continue
            self.untold += 1
            machine = _joined(attended.machine, self._here)
            times = attended.started, attended.stopped
            yield _paid(job, attended, machine, job.resources, times)


def _paid(
    job: CostedJob,
    attended: Attended,
    machine: Machine,
    size: Resources,
    times: tuple[float, float],
) -> PaidAttempt:
    if not size.vcpus and machine.lifecycle != LOCAL:  # nobody knows how much of it it had
        machine = UNKNOWN
    memory = -(-(size.memory or 0) // MIB)
    return PaidAttempt(
        str(job.stage),
        machine,
        size.vcpus,
        memory,
        *times,
        gpus=size.gpus,
        busy=attended.busy,
        work=attended.work,
    )


def _size(child: Child) -> Resources:
    return Resources(child.vcpus, child.memory * MIB, child.gpus)


def _number(job: CostedJob, stay: Stay) -> int:
    """Give the number under which manifests know an attempt."""
    return stay.number + (TWIN if job.twin is not None else 0)


def _joined(*told: Machine) -> Machine:
    """Join what is known of one machine: who comes first is believed."""
    return Machine(*(next(filter(None, parts), "") for parts in zip(*told, strict=True)))
