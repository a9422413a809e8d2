"""Puts together what was tried, what is known and what the planner would do: the answer."""

from __future__ import annotations

from collections.abc import Sequence

from dask.utils import key_split

from dask_knot.estimates.curve import quantile
from dask_knot.estimates.evidence import Evidence, choose_sizes, delay, stretch
from dask_knot.estimates.forecast import Forecast, ForecastRow
from dask_knot.estimates.schedule import Course
from dask_knot.estimates.sizes import JobSize
from dask_knot.estimates.trials import Habit
from dask_knot.estimates.venue import HERE, HOUR, WAYS, Venue
from dask_knot.planning.plan import Plan
from dask_knot.plural import duration

#: A start-up is said that has so many seconds, and so much of what a task takes.
NOTABLE = 0.05
NOTABLE_PART = 0.2


def assemble(
    evidence: Evidence,
    plan: Plan,
    ahead: Course,
    place: Venue,
    optimize: str,
    notes: Sequence[str],
) -> Forecast:
    """Make the answer.

    Parameters
    ----------
    evidence : Evidence
        What is known.
    plan : Plan
        How it would be cut.
    ahead : Course
        How that would run.
    place : Venue
        Where.
    optimize : {"cost", "time"}
        What is to be small.
    notes : sequence of str
        What else there is to say.
    """
    tasks = _tasks(plan)
    sizes = choose_sizes(evidence, tasks, place)
    chosen = sizes.get(optimize, place.size)
    rows = [_row(evidence, prefix, plan, place, chosen) for prefix in tasks]
    unknown = sum(evidence.expected.unknown.values())
    is_known = bool(evidence.expected.seconds)
    cores = int(chosen.cores)
    busy = ahead.busy * stretch(evidence, int(place.size.cores), cores)
    later = delay(evidence, tasks, place, cores)
    return Forecast(
        rows=rows,
        seconds=ahead.seconds * later if is_known else None,
        jobs=ahead.jobs,
        vcpu_seconds=busy * chosen.cores,
        sizes=sizes,
        optimize=optimize,
        prices=place.costs(chosen, busy) if is_known else {},
        paid=HERE if place.tariff is not None else "",
        unknown=unknown,
        notes=(*notes, *_unsaid(evidence, place, rows)),
    )


def _tasks(plan: Plan) -> dict[str, int]:
    """Count the tasks of a plan by prefix, in the order in which they run."""
    found: dict[str, int] = {}
    for stage in plan.stages:
        for shard in stage.shards:
            for prefix, count in shard.prefixes.items():
                found[prefix] = found.get(prefix, 0) + count
    return found


def _row(evidence: Evidence, prefix: str, plan: Plan, place: Venue, chosen: JobSize) -> ForecastRow:
    seconds = [
        evidence.expected.seconds[key]
        for stage in plan.stages
        for shard in stage.shards
        for key in shard.tasks
        if prefix in shard.prefixes
        and key_split(key) == prefix
        and key in evidence.expected.seconds
    ]
    tried = evidence.tried(prefix)
    tasks = _tasks(plan)[prefix]
    peaks = [one.peak for one in tried]
    habit = evidence.habits.get(prefix, Habit(0.0))
    size = evidence.fitting(prefix, tasks, place, int(chosen.cores))
    return ForecastRow(
        prefix,
        tasks,
        tried=len(tried),
        jobs=sum(prefix in shard.prefixes for stage in plan.stages for shard in stage.shards),
        median=quantile(seconds, 0.5) if seconds else None,
        p95=quantile(seconds, 0.95) if seconds else None,
        seconds=sum(seconds) if seconds else None,
        peak=max(peaks, default=0) or habit.peak,
        size=size,
        startup=evidence.startups.get(prefix, 0.0),
        by_cores=evidence.by_cores.get(prefix, {}),
        money=place.costs(size, sum(seconds)) if size and seconds else {},
    )


def _unsaid(evidence: Evidence, place: Venue, rows: Sequence[ForecastRow]) -> list[str]:
    """Say what isn't known."""
    notes = []
    for row in rows:
        if row.startup >= max(NOTABLE, NOTABLE_PART * (row.median or 0.0)):
            notes.append(
                f"start-up: the first task of {row.prefix} in each job takes "
                f"{duration(row.startup)} longer, for example for imports; this is included"
            )
        if row.median is not None and row.peak and row.size is None:
            notes.append(f"no job has enough memory for {row.prefix}")
    if place.region is None and place.platform != "local":
        notes.append("cost: unknown, as the region isn't known")
    elif place.region is not None:
        missing = [way for way in WAYS if way not in place.costs(place.size, HOUR)]
        if not place.gpus:
            notes += [f"{way}: unknown, as there is no price for {place.region}" for way in missing]
        if said := place.prices.said(place.region):
            notes.append(f"prices: {said}")
        notes += place.prices.notes
    return notes
