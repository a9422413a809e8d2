"""The profile of a run: what tasks have cost, by key prefix and code. Profiles add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import NamedTuple

from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense


class ProfileKey(NamedTuple):
    """What has costs of its own: tasks of one prefix with the same code (its digest)."""

    prefix: str
    code: bytes


@dataclass(frozen=True, slots=True)
class TaskCosts:
    """What tasks have cost.

    Attributes
    ----------
    tasks : int
        How many ran.
    seconds, squares : float
        The sums of their seconds, and of the squares of these.
    longest : float
        The seconds of the longest.
    nbytes : int
        The sum of the sizes of values that left their shards, in memory.
    values : int
        How many values these are.
    peak : int
        The most memory that a job's process had while they ran; 0 if that isn't known. Of a task
        that ran out of memory it is known that it needs more than there was.
    shards : int
        How many shards had such tasks.
    reserved : int
        The most memory that such a job had before its first task.
    threads : float
        The most processors that they kept busy, each of them, on the average of a shard.
    memory : int
        What a job needed in which they ran, after they had run out of what was asked for; else 0.
    """

    tasks: int = 0
    seconds: float = 0.0
    squares: float = 0.0
    longest: float = 0.0
    nbytes: int = 0
    values: int = 0
    peak: int = 0
    shards: int = 0
    reserved: int = 0
    threads: float = 0.0
    memory: int = 0

    def __add__(self, other: TaskCosts) -> TaskCosts:
        """Add others: what is the most of something is that of the larger."""
        return TaskCosts(
            self.tasks + other.tasks,
            self.seconds + other.seconds,
            self.squares + other.squares,
            max(self.longest, other.longest),
            self.nbytes + other.nbytes,
            self.values + other.values,
            max(self.peak, other.peak),
            self.shards + other.shards,
            max(self.reserved, other.reserved),
            max(self.threads, other.threads),
            max(self.memory, other.memory),
        )

    @property
    def mean(self) -> float:
        """The seconds of a task, on average."""
        return self.seconds / self.tasks if self.tasks else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of a task's seconds."""
        variance = self.squares / self.tasks - self.mean**2 if self.tasks else 0.0
        return float(max(variance, 0.0) ** 0.5)


@dataclass(frozen=True, slots=True)
class Profile:
    """The costs of tasks by prefix and code."""

    costs: Mapping[ProfileKey, TaskCosts] = field(default_factory=dict)

    def encode(self) -> list[Bytes]:
        """Write it."""
        rows = [(*key, *astuple(costs)) for key, costs in self.costs.items()]
        return note.encode(NoteKind.PROFILE, {"costs": rows})

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Profile:
        """Read what `encode` wrote; raises what `note.decode` does."""
        rows = note.decode(NoteKind.PROFILE, name, data)
        try:
            return cls({ProfileKey(p, c): TaskCosts(*rest) for p, c, *rest in rows["costs"]})
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


def merge(profiles: Iterable[Profile]) -> Profile:
    """Add profiles up."""
    costs: dict[ProfileKey, TaskCosts] = {}
    for profile in profiles:
        for key, more in profile.costs.items():
            costs[key] = costs[key] + more if key in costs else more
    return Profile(costs)
