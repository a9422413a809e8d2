"""The account of the tasks that ran since the manifest before: their work, their times."""

from __future__ import annotations

from array import array

from dask.typing import Key
from dask.utils import key_split

from dask_knot.job.tasks import TaskOutcome
from dask_knot.job.usage import Usage
from dask_knot.run.manifest import Work


class Account:
    """What a manifest says of tasks, whether or not their values leave the shard.

    Parameters
    ----------
    usage : Usage
        Tells what memory and processor time they take.

    Attributes
    ----------
    work : dict of str to Work
        Their cost, by the prefix of their keys.
    times, kinds : array
        Start and stop of each, and what it belongs to, as a manifest has them.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self.work: dict[str, Work] = {}
        self.times = array("d")
        self.kinds = array("I")
        self._places: dict[str, int] = {}

    def note(
        self, key: Key, ended: TaskOutcome, nbytes: int | None = None, erred: bool = False
    ) -> None:
        """Count a task that ran; one whose value leaves the shard says how large that is."""
        # Dask looks into a tuple itself, but only once it has kept what that gives.
        prefix = key_split(key[0] if type(key) is tuple and key else key)
        work = self.work.get(prefix)
        if work is None:
            self._places[prefix] = len(self.work)
            work = self.work[prefix] = Work()
        self.times.extend((ended.start, ended.stop))
        self.kinds.append(2 * self._places[prefix] + erred)
        seconds = ended.stop - ended.start
        work.tasks += 1
        work.seconds += seconds
        work.squares += seconds * seconds
        if seconds > work.longest:
            work.longest = seconds
        work.erred += erred
        work.startup += ended.startup
        if nbytes is not None:
            work.values += 1
            work.nbytes += nbytes
        self._usage.note(work, seconds)
