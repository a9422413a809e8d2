"""All that is known of the tasks of a graph, and the sizes of jobs that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dask.typing import Key
from dask.utils import key_split

from dask_knot.estimates.choice import SPARE, margin, needed
from dask_knot.estimates.sampling import by_prefix
from dask_knot.estimates.sizes import JobSize, smallest, steps
from dask_knot.estimates.trials import Expectation, Habit, Trial
from dask_knot.estimates.venue import Venue

#: Jobs of other cores than usual have to be so much better, or what was measured may be chance.
WORTH = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of the tasks of a graph.

    Attributes
    ----------
    expected : Expectation
        How long each will take.
    trials : sequence of Trial
        What those took that were tried.
    habits : mapping of str to Habit
        What is known of prefixes from earlier runs.
    by_cores : mapping of str to mapping of int to float
        Seconds of the median task of prefixes that were tried with other numbers of cores.
    reserved : int
        Bytes that a job has before its first task.
    places : mapping of Key to float
        Where tasks that were tried lie among those of their prefix, where that tells something.
    startups : mapping of str to float
        Seconds that the first task of a prefix takes longer in each job.
    """

    expected: Expectation
    trials: Sequence[Trial] = ()
    habits: Mapping[str, Habit] = field(default_factory=dict)
    by_cores: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    reserved: int = 0
    places: Mapping[Key, float] = field(default_factory=dict)
    startups: Mapping[str, float] = field(default_factory=dict)

    def work(self) -> dict[str, float]:
        """Give the seconds of all tasks, by prefix."""
        found: dict[str, float] = {}
        for prefix, keys in by_prefix(self.expected.seconds).items():
            found[prefix] = sum(self.expected.seconds[key] for key in keys)
        return found

    def tried(self, prefix: str) -> list[Trial]:
        """Give what tasks of a prefix took."""
        return [one for one in self.trials if key_split(one.key) == prefix]

    def fitting(self, prefix: str, tasks: int, place: Venue, cores: int) -> JobSize | None:
        """Choose the smallest job in which so many tasks of a prefix fit; None if nothing is known.

        Of tasks that run side by side in a job each takes what it takes beside what the job has.
        """
        beside = max(1, min(cores, tasks))
        measured = [one for one in self.tried(prefix) if one.peak]
        if not measured and prefix in self.habits and self.habits[prefix].peak:
            habit = self.habits[prefix]
            # Those of earlier runs had others beside them already, where jobs had the same cores.
            beside = beside if cores > place.size.cores else 1
            measured = [Trial(prefix, habit.seconds, habit.peak)]
            spare = SPARE
        elif measured:
            where = [self.places[one.key] for one in measured if one.key in self.places]
            spare = margin([one.peak for one in measured], where)
        else:
            return None
        reserved = min(self.reserved, *(one.peak for one in measured), self.reserved)
        peaks = [reserved + beside * (one.peak - reserved) for one in measured]
        there = steps(place.platform, cores, place.most)
        memory = needed(peaks, [one.seconds for one in measured], there, spare)
        return None if memory is None else JobSize(cores, memory)


def choose_sizes(evidence: Evidence, tasks: Mapping[str, int], place: Venue) -> dict[str, JobSize]:
    """Choose the size of all jobs, for either goal."""
    usual = max(1, int(place.size.cores))
    tried = {cores for found in evidence.by_cores.values() for cores in found}
    counts = sorted({usual, *tried})

    def cost(cores: int) -> float:
        return cores * stretch(evidence, usual, cores) / usual

    def time(cores: int) -> float:
        return delay(evidence, tasks, place, cores)

    found: dict[str, JobSize] = {}
    for goal, measure in (("cost", cost), ("time", time)):
        best = usual
        for cores in counts:
            if measure(cores) < WORTH * measure(best):
                best = cores
        if (size := _size(evidence, tasks, place, best)) is not None:
            found[goal] = size
    return found


def delay(evidence: Evidence, tasks: Mapping[str, int], place: Venue, cores: int) -> float:
    """Tell how much later all is done in jobs of other cores: fewer of them run at once."""
    usual = max(1, int(place.size.cores))

    def taken(cores: int) -> float:
        slots = max(1, place.slots * usual // cores)
        return sum(
            work * _ratio(evidence, prefix, usual, cores) / min(tasks[prefix], slots)
            for prefix, work in evidence.work().items()
            if prefix in tasks
        )

    return taken(cores) / (taken(usual) or 1.0)


def _size(evidence: Evidence, tasks: Mapping[str, int], place: Venue, cores: int) -> JobSize | None:
    """Give the size in which tasks of all prefixes fit of which anything is known."""
    fitting = {
        prefix: evidence.fitting(prefix, count, place, cores) for prefix, count in tasks.items()
    }
    known = [size.memory for size in fitting.values() if size is not None]
    if not known:
        return None
    there = steps(place.platform, cores, place.most)
    return JobSize(cores, smallest(max(known), there) or max(known))


def _ratio(evidence: Evidence, prefix: str, usual: int, cores: int) -> float:
    """Tell how much longer tasks of a prefix take with other cores: 1 if that wasn't tried."""
    tried = evidence.by_cores.get(prefix, {})
    if usual not in tried or cores not in tried or not tried[usual]:
        return 1.0
    return tried[cores] / tried[usual]


def stretch(evidence: Evidence, usual: int, cores: int) -> float:
    """Tell how much longer all of the work takes with other cores."""
    work = evidence.work()
    whole = sum(work.values())
    other = sum(one * _ratio(evidence, name, usual, cores) for name, one in work.items())
    return other / whole if whole else 1.0
