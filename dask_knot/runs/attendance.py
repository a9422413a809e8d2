"""What manifests tell of the time of jobs: where each attempt ran, and how long tasks did. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dask_knot.run.machine import UNKNOWN, Machine
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId


@dataclass(slots=True)
class Attended:
    """An attempt of a child, as its manifests tell of it.

    Attributes
    ----------
    machine : Machine
        Where it ran.
    started, stopped : float
        When its program began and its last task ended, in seconds since the epoch.
    busy : float
        Seconds in which at least one task ran.
    work : dict of str to float
        Seconds of tasks, by key prefix.
    requests : Counter of str
        How often it asked the store, by operation.
    """

    machine: Machine = UNKNOWN
    started: float = 0.0
    stopped: float = 0.0
    busy: float = 0.0
    work: dict[str, float] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def note(self, manifest: Manifest, is_parallel: bool) -> None:
        """Add what one more manifest tells; they may be read in any order."""
        known = zip(manifest.machine, self.machine, strict=True)
        self.machine = Machine(*(new or old for new, old in known))
        self.started = manifest.started or self.started
        # Both are replaced, never changed: whoever adds them up does so in another thread.
        self.requests = self.requests | Counter(manifest.requests)  # of all since the start
        more = {p: self.work.get(p, 0.0) + work.seconds for p, work in manifest.work.items()}
        self.work = {**self.work, **more}
        times = array("d", manifest.times)
        if times:
            before = self.stopped
            self.stopped = max(before, max(times[1::2]))
            seconds = (stop - start for start, stop in _pairs(times))
            self.busy += covered(times, before) if is_parallel else sum(seconds)
        self.stopped = max(self.stopped, self.started)


def covered(times: array[float], since: float) -> float:
    """Give the seconds after some moment in which at least one task ran.

    Parameters
    ----------
    times : array of float
        Starts and stops of tasks, one after the other.
    since : float
        What was before is counted already.
    """
    seconds, end = 0.0, since
    for start, stop in sorted(_pairs(times)):
        if stop > end:
            seconds += stop - max(start, end)
            end = stop
    return seconds


def _pairs(times: array[float]) -> Iterable[tuple[float, float]]:
    return zip(times[::2], times[1::2], strict=True)


class Attendance:
    """What is known of the attempts of children from their manifests.

    Attributes
    ----------
    attempts : dict of (ShardId, int) to Attended
        By shard and number of the attempt.
    changes : int
        How often something was added.
    """

    def __init__(self) -> None:
        self.attempts: dict[tuple[ShardId, int], Attended] = {}
        self.changes = 0

    def note(self, shard: ShardId, manifest: Manifest, is_parallel: bool = True) -> None:
        """Add what a manifest tells.

        Parameters
        ----------
        shard : ShardId
            Whose it is.
        manifest : Manifest
            The manifest.
        is_parallel : bool
            Whether its tasks may run at the same time.
        """
        attended = self.attempts.get((shard, manifest.attempt)) or Attended()
        attended.note(manifest, is_parallel)
        self.attempts[shard, manifest.attempt] = attended
        self.changes += 1

    def requests(self) -> Counter[str]:
        """Count the requests of all attempts."""
        return sum((one.requests for one in [*self.attempts.values()]), Counter())
