"""Estimates: tries a few tasks of a graph, and says from these what all of it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

from dask.typing import Key
from dask.utils import key_split
from distributed.utils import offload

from dask_knot.estimates.assembly import assemble
from dask_knot.estimates.evidence import Evidence
from dask_knot.estimates.forecast import Forecast, check_goal, check_sample
from dask_knot.estimates.sampling import Extent, Sampling, by_prefix, choose_samples
from dask_knot.estimates.schedule import course
from dask_knot.estimates.sizes import JobSize
from dask_knot.estimates.trials import Habit, expect, places_of
from dask_knot.estimates.venue import Venue
from dask_knot.graphs.extents import extents_of
from dask_knot.planning import Cost, PlanRequest, make_plan
from dask_knot.plural import many
from dask_knot.prices.shelf import stocked
from dask_knot.session.session import Session
from dask_knot.session.trial import TrialRun, apart, part_of, roomy, try_tasks
from dask_knot.settings.connection import connection
from dask_knot.tracking.durations import NO_CODE
from dask_knot.tracking.events import CostsRecalled, Graph

#: Tasks that take less are not tried with more cores: threads don't pay for them.
LONG = 0.5
#: With more cores than these nothing is tried.
MOST_CORES = 4
#: With twice the cores a task has to be so many times faster, or it is tried with no more.
FASTER = 1.3
UNTRIED = "was not tried"
#: So many tasks are tried, where it matters only how much may have to run before them.
FEW = 3
#: So many prefixes, those with most work, are tried with more cores.
MOST_PREFIXES = 3


async def forecast_of(
    session: Session, graph: Graph, sample: int = 3, optimize: str | None = None
) -> Forecast:
    """Try a few tasks of a graph, and say from these what all of it will take.

    Parameters
    ----------
    session : Session
        The session that would compute it. It learns what was measured.
    graph : Graph
        What would be computed; nothing of it is submitted here.
    sample : int
        How many tasks of each prefix are tried.
    optimize : {"cost", "time"}, optional
        What is to be small; cost, unless told otherwise.

    Raises
    ------
    ConfigurationError
        If the number or the goal is wrong.
    KnotError
        If no session can be opened to try them.
    """
    sample, goal = check_sample(sample), check_goal("cost" if optimize is None else optimize)
    foresight = await session.foresee(graph)
    before = foresight.request
    if before is None:
        return Forecast((), 0.0, 0, 0.0, {}, goal)
    all_extents = await offload(extents_of, graph)
    # Inputs before readers: then what is tried first is what others need.
    needed = {key: one for key, one in all_extents.items() if key in before.dependencies}
    tries = Tries(session, graph, all_extents, needed, _habits(foresight.peaks, before))
    sampling = await offload(tries.choose, sample)
    tried = await tries.run(sampling)
    evidence = await tries.evidence(sampling, tried)
    learned = _learned(tried, evidence, graph)
    session.handle([learned])
    plan = await offload(make_plan, _with(learned, before))
    beside = _beside(session.settings.cores, tried)
    pace = session.slots, session.settings.tempo.job_start, beside
    ahead = await offload(course, plan, evidence.expected.seconds, *pace, evidence.startups)
    notes = _notes(sampling, tried, evidence, session.settings.is_named)
    if there := len(all_extents) - len(needed):
        whole = many("task", len(all_extents))
        notes.insert(0, f"{there:,} of {whole} {'is' if there == 1 else 'are'} done already")
    forecast: Forecast = await offload(
        assemble, evidence, plan, ahead, _place(session), goal, notes
    )
    return forecast


@dataclass(slots=True)
class Tries:
    """What is tried of one graph.

    Attributes
    ----------
    session : Session
        Whose graph it is.
    graph : Graph
        All of it.
    extents, needed : mapping of Key to Extent
        How much tasks have to do: all, and those that would have to run.
    habits : mapping of str to Habit
        What is known of prefixes.
    """

    session: Session
    graph: Graph
    extents: Mapping[Key, Extent]
    needed: Mapping[Key, Extent]
    habits: Mapping[str, Habit]

    def choose(self, count: int) -> Sampling:
        """Choose tasks; those before them are run as well, wherever their values may be."""
        reads = {key: self.graph.tasks[key].dependencies for key in self.extents}
        literals = self.graph.literals
        return choose_samples(reads, self.needed, literals.__contains__, count)

    async def run(self, sampling: Sampling, cores: int | None = None) -> TrialRun:
        """Run what was chosen."""
        if not sampling.tasks:
            return TrialRun()
        settings = roomy(self.session.settings, self.session.largest, cores)
        part = await offload(part_of, self.graph, sampling.tasks)
        return await try_tasks(settings, part, self.session.hooks.notice)

    async def evidence(self, sampling: Sampling, tried: TrialRun) -> Evidence:
        """Put together what is known by now, after some were tried with more cores."""
        trials = [one for one in tried.trials() if one.key in self.extents]
        expected = await offload(expect, self.needed, trials, self.habits)
        reserved = max((one.reserved for one in tried.profile.costs.values()), default=0)
        places = await offload(places_of, self.needed, [one.key for one in trials])
        startups = tried.startup()
        first = Evidence(
            expected, trials, self.habits, {}, reserved, places=places, startups=startups
        )
        return replace(first, by_cores=await self._with_more_cores(sampling, first))

    async def _with_more_cores(
        self, sampling: Sampling, known: Evidence
    ) -> dict[str, dict[int, float]]:
        """Try the median tasks of what has most to do with more cores, while that is faster."""
        usual = self.session.settings.cores
        taken = {one.key: one.seconds for one in known.trials}
        medians = {
            prefix: keys[len(keys) // 2]
            for prefix, keys in sampling.chosen.items()
            if taken.get(keys[len(keys) // 2], 0.0) >= LONG
        }
        work = known.work()
        left = sorted(medians, key=lambda prefix: -work.get(prefix, 0.0))[:MOST_PREFIXES]
        found = {prefix: {usual: taken[medians[prefix]]} for prefix in left}
        cores = 2 * usual
        while left and cores <= MOST_CORES and cores <= self.session.largest.vcpus:
            chosen = {prefix: (medians[prefix],) for prefix in left}
            reads = {key: self.graph.tasks[key].dependencies for key in self.extents}
            extents = {key: self.extents[key] for keys in chosen.values() for key in keys}
            again = choose_samples(reads, extents, self.graph.literals.__contains__, FEW)
            tried = await self._fresh(again, cores)
            for prefix in left:
                if (seconds := tried.seconds.get(medians[prefix])) is not None:
                    found[prefix][cores] = seconds
            left = [
                prefix
                for prefix in left
                if found[prefix].get(cores, 1e9) * FASTER < found[prefix][cores // 2]
            ]
            cores *= 2
        return {prefix: times for prefix, times in found.items() if len(times) > 1}

    async def _fresh(self, sampling: Sampling, cores: int) -> TrialRun:
        """Run tasks that ran before: not in the run, if that has a name, or they would not."""
        session = self.session
        settings = roomy(session.settings, session.largest, cores)
        part = await offload(part_of, self.graph, sampling.tasks)
        return await try_tasks(apart(settings), part, session.hooks.notice)


def _habits(peaks: Mapping[str, int], request: PlanRequest) -> dict[str, Habit]:
    return {
        prefix: Habit(cost.seconds, peaks.get(prefix, 0)) for prefix, cost in request.costs.items()
    }


def _learned(tried: TrialRun, evidence: Evidence, graph: Graph) -> CostsRecalled:
    """Tell a tracker what is known by now: of all tasks of a prefix, not only of those tried."""
    prefixes = {key_split(one.key) for one in evidence.trials}
    found = by_prefix(evidence.expected.seconds)
    seconds = {
        prefix: [evidence.expected.seconds[key] for key in keys]
        for prefix, keys in found.items()
        if prefix in prefixes
    }
    marks = graph.marks
    costs = tried.profile.costs
    return CostsRecalled(
        {
            (prefix, marks.get(prefix, NO_CODE)): Cost(fmean(each), pstdev(each))
            for prefix, each in seconds.items()
        },
        {(*kind,): one.nbytes / one.values for kind, one in costs.items() if one.values},
        peaks={(*kind,): one.peak for kind, one in costs.items() if one.peak},
    )


def _with(learned: CostsRecalled, before: PlanRequest) -> PlanRequest:
    """Ask for the plan of all that was to run before anything was tried, with what is known now."""
    costs = {prefix: cost for (prefix, _), cost in learned.costs.items()}
    nbytes = {prefix: size for (prefix, _), size in learned.nbytes.items()}
    return replace(before, costs={**before.costs, **costs}, nbytes={**before.nbytes, **nbytes})


def _beside(cores: int, tried: TrialRun) -> float:
    """Tell how many tasks of a job run at once, where none has to wait for processors."""
    seen = [one for one in tried.profile.costs.values() if one.threads]
    whole = sum(one.seconds for one in seen)
    busy = sum(one.seconds * one.threads for one in seen) / whole if whole else 1.0
    return max(1.0, cores / max(1.0, busy))


def _place(session: Session) -> Venue:
    """Say where the work would be done, and what is known of prices there."""
    settings, tariff = session.settings, session.purse.tariff
    platform = "local"
    if tariff is not None:
        platform = "fargate" if tariff.is_fargate else "ec2"
    region = tariff.market.region if tariff is not None else connection({}).region
    size = JobSize(settings.cores, settings.memory)
    most = session.largest.memory
    prices = stocked(region=region or "")
    return Venue(platform, size, session.slots, most, region, prices, tariff, settings.gpus)


def _notes(sampling: Sampling, tried: TrialRun, evidence: Evidence, is_named: bool) -> list[str]:
    """Say of what nothing is known, and why."""
    left = {key_split(key): why for key, why in tried.failures.items()}
    reasons = {**sampling.left_out, **{prefix: f"raised {why}" for prefix, why in left.items()}}
    notes = [
        f"not known: {many('task', count)} of {prefix}, which {reasons.get(prefix, UNTRIED)}"
        for prefix, count in evidence.expected.unknown.items()
    ]
    notes += [
        f"not tried: {prefix}, which {why}; it is known from earlier runs"
        for prefix, why in sampling.left_out.items()
        if prefix not in evidence.expected.unknown
    ]
    if is_named and tried.seconds:
        notes.append(f"{many('task', len(tried.seconds))} were tried; this run keeps their values")
    return notes
