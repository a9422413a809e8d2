"""Arrays, their children, and the programs that these run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from benchmarks.simulate.instances import Instance
from benchmarks.simulate.timeline import Clock
from dask_knot.batch.rules import JobStatus

HELD, RUNNABLE = JobStatus.PENDING, JobStatus.RUNNABLE
STARTING, RUNNING = JobStatus.STARTING, JobStatus.RUNNING
SUCCEEDED, FAILED = JobStatus.SUCCEEDED, JobStatus.FAILED


class Host(Protocol):
    """What children know of their fleet.

    Attributes
    ----------
    clock : Clock
        The one clock of the simulation.
    used : float
        vCPU-seconds of tasks: programs add theirs.
    """

    clock: Clock
    used: float

    def leave(self, child: Child, reason: str) -> None:
        """Take the end of a child's process; with a reason it has failed."""


class Program(Protocol):
    """What a child runs: it calls `Child.exit` when it is done."""

    def start(self, child: Child) -> None:
        """Begin: the process is there, and has imported what it needs."""

    def stop(self, child: Child) -> None:
        """End at once, as the machine is gone or the job was terminated."""


@dataclass(frozen=True, slots=True)
class Phases:
    """A program of three phases: what it reads, runs and writes, in seconds."""

    read: float
    run: float
    write: float

    def start(self, child: Child) -> None:
        """Take the sum of all."""
        attempt = child.attempt
        child.clock.call_later(self.read + self.run + self.write, self._end, child, attempt)

    def stop(self, child: Child) -> None:
        """Leave nothing."""

    def _end(self, child: Child, attempt: int) -> None:
        if child.attempt == attempt and child.status is RUNNING:  # it may be another by now
            child.fleet.used += self.run
            child.exit()


#: Gives the program of a child, by its index.
Programs = Callable[[int], Program]
#: Is told of the end of a child: its index, and whether it succeeded.
Ended = Callable[[int, bool], object]


class Array:
    """What was submitted at once.

    Attributes
    ----------
    children : list of Child
        By index.
    counts : Counter
        Children by state.
    """

    def __init__(self, fleet: Host, size: int, programs: Programs, ended: Ended | None) -> None:
        self.programs = programs
        self.ended = ended
        self.children = [Child(fleet, self, index) for index in range(size)]
        self.counts: Counter[JobStatus] = Counter({HELD: size})

    @property
    def is_over(self) -> bool:
        """Whether all children have ended."""
        return self.counts[SUCCEEDED] + self.counts[FAILED] == len(self.children)


class Child:
    """One job of an array.

    `attempt` counts its starts, the one to come included; `reason` is why it failed.
    """

    __slots__ = (
        *("array", "attempt", "fleet", "has_run", "index", "instance", "is_ending"),
        *("program", "reason", "status"),
    )

    def __init__(self, fleet: Host, array: Array, index: int) -> None:
        self.fleet = fleet
        self.array = array
        self.index = index
        self.status = HELD
        self.attempt = 1
        self.instance: Instance | None = None
        self.program: Program | None = None
        self.has_run = False
        self.is_ending = False  # its process is gone; Batch doesn't know yet
        self.reason = ""

    @property
    def clock(self) -> Clock:
        """The clock of its world."""
        return self.fleet.clock

    def exit(self, reason: str = "") -> None:
        """End its process; with a reason it has failed."""
        self.fleet.leave(self, reason)

    def move(self, status: JobStatus) -> None:
        """Be in another state."""
        self.array.counts[self.status] -= 1
        self.status = status
        self.array.counts[status] += 1
