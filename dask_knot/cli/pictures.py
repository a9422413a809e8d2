"""Runs as rows and lines for the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dask_knot.batch.rules import JobStatus
from dask_knot.cli.screen import Screen, readable_age, readable_size
from dask_knot.plural import many
from dask_knot.prices.bill import Bill
from dask_knot.run.names import StageId, plan_name
from dask_knot.runs.mishaps import Mishap
from dask_knot.runs.overview import RunOverview
from dask_knot.runs.reading import RunView
from dask_knot.runs.shares import PrefixCount
from dask_knot.runs.show import Portrait
from dask_knot.runs.state import PlanView, Progression, ShardCondition, StageView

RUN_HEADS = ("run", "age", "state", "tasks done", "bytes", "engine", "who")
COST_HEADS = (*RUN_HEADS[:-1], "vCPU-hours", "cost", "who")
STAGE_HEADS = ("stage", "shards", "tasks done", "after", "job")
#: Lines of a log or traceback that are shown.
LINES = 10


def run_row(one: RunOverview, now: float, bill: Bill | None = None) -> tuple[str, ...]:
    """Give the cells of a run in the table of all; with a bill, those of `COST_HEADS`."""
    assert one.view is not None
    view, there = one.view, one.view.progression()
    return (
        one.name,
        readable_age(now - view.info.made),
        there.state.value,
        _done(view, there),
        readable_size(view.survey.nbytes),
        view.info.engine,
        *((f"{bill.vcpu_hours:,.3g}", str(bill.total)) if bill is not None else ()),
        view.who,
    )


def print_portrait(screen: Screen, one: Portrait, now: float) -> None:
    """Print all that is known of a run."""
    view, there = one.view, one.there
    age = readable_age(now - view.info.made)
    size = f"{many('object', view.survey.objects)}, {readable_size(view.survey.nbytes)}"
    screen.table(
        [
            ("run", f"{view.run.name} in {view.run.store_url}"),
            ("made", f"{_moment(view.info.made)} ({age} ago) by {view.info.by}"),
            ("engine", f"{view.info.engine}, dask_knot {view.info.dask_knot}"),
            ("state", there.state.value),
            ("tasks done", _done(view, there)),
            ("store", size),
            *([("published", ", ".join(one.published))] if one.published else []),
        ]
    )
    if one.known.why:
        screen.line(f"the jobs couldn't be listed, so some may be running: {one.known.why}")
    _section(screen, "sessions", _sessions(one, now))
    for plan in there.plans:
        if one.chosen is not None and one.chosen.plan != plan.record.number:
            continue
        _print_plan(screen, one, plan, now)
    if one.bill is not None:
        screen.line()
        screen.line("what it cost", "bold")
        screen.table(one.bill.rows())
    if one.mishaps:
        screen.line()
        screen.line("what went wrong", "bold")
        for mishap in one.mishaps:
            _print_mishap(screen, mishap)


def _section(screen: Screen, title: str, lines: Iterable[str]) -> None:
    screen.line()
    screen.line(title, "bold")
    for line in lines:
        screen.line(f"  {line}")


def _sessions(one: Portrait, now: float) -> Iterator[str]:
    for number, who in one.view.sessions.items():
        if who is None:
            yield f"{number}: it doesn't say who opened it"
            continue
        state = "alive" if number in one.view.marks.alive else "left"
        age = readable_age(now - who.opened)
        yield f"{number}: {who.user}@{who.host}, process {who.pid}, opened {age} ago, {state}"


def _print_plan(screen: Screen, one: Portrait, plan: PlanView, now: float) -> None:
    screen.line()
    age = readable_age(now - plan.record.made)
    wanted = many("key", len(plan.record.wanted))
    words = f"{plan_name(plan.record.number)}, {age} ago, for {wanted}"
    screen.line(words, "bold")
    shown = [stage for stage in plan.stages if one.chosen in (None, stage.id)]
    screen.columns(STAGE_HEADS, [_stage_row(one, stage) for stage in shown])


def _stage_row(one: Portrait, stage: StageView) -> tuple[str, ...]:
    job = one.known.jobs.get(stage.id)
    id = one.ids.get(stage.id, "-") or "withdrawn"
    states = "" if job is None or job.is_over else f" {_states(job.counts)}"
    return (
        str(stage.id),
        _conditions(stage),
        _tasks(stage, one.done[stage.id]),
        _stages(stage.record.depends_on),
        f"{id}{states}",
    )


def _conditions(stage: StageView) -> str:
    counts, handed = stage.counts, sum(sum(one.values()) for one in stage.handed)
    words = [f"{counts[one]:,} {one.value}" for one in ShardCondition if counts[one]]
    return ", ".join([*words, *([f"{many('task', handed)} handed over"] if handed else [])])


def _states(counts: Mapping[JobStatus, int]) -> str:
    return "(" + ", ".join(f"{n:,} {status.value}" for status, n in counts.items()) + ")"


def _done(view: RunView, there: Progression) -> str:
    least = "at least " if view.marks.is_least else ""
    return f"{least}{there.done_tasks:,} of {there.all_tasks:,}"


def _tasks(stage: StageView, count: PrefixCount) -> str:
    shares = (f"{name} {count.done.get(name, 0):,}/{n:,}" for name, n in stage.tasks.items())
    return ("" if count.is_all else "at least ") + ", ".join(shares)


def _stages(others: Sequence[StageId]) -> str:
    """Name the stages that one waits for."""
    return ", ".join(map(str, others)) or "-"


def _print_mishap(screen: Screen, mishap: Mishap) -> None:
    job = f", job {mishap.job}" if mishap.job else ""
    screen.line(f"  {mishap.shard}{job}")
    screen.line(f"    {mishap.what}", "red")
    if len(mishap.lines) > LINES:
        screen.line("      …")
    for line in mishap.lines[-LINES:]:
        screen.line(f"      {line}")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
