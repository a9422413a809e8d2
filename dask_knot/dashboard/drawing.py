"""A plan that can be looked at: text in a terminal, a picture in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from dask.utils import format_bytes

from dask_knot.dashboard.estimate import Estimate
from dask_knot.dashboard.svg import Arrow, Box, draw
from dask_knot.planning.outline import Flow, StageOutline
from dask_knot.plural import duration, many

#: Prefixes that are named for each stage.
NAMED = 4
_CUT_SO = "why it is cut this way"


class PriorWork(NamedTuple):
    """The tasks of a graph that a named run has already.

    Attributes
    ----------
    spared : int
        How many are stored, or being made.
    tasks : int
        How many there are.
    refusals : sequence of str
        Why some are run again in any case.
    """

    spared: int
    tasks: int
    refusals: Sequence[str] = ()

    @property
    def lines(self) -> list[str]:
        """What there is to say of it."""
        spared = f"{self.spared:,} of {many('task', self.tasks)}"
        are = "is" if self.spared == 1 else "are"
        return [f"{spared} {are} there already, or being made", *self.refusals]


class PlanDrawing:
    """A drawing of how collections would run.

    Parameters
    ----------
    estimate : Estimate
        The plan in numbers, and what is known of the time that it takes.
    prior : PriorWork, optional
        In a named run, what it has already.
    plan : str
        The number that its graph would have now, which begins the names of stages.

    Attributes
    ----------
    stages : tuple of StageOutline
        In the order in which they are submitted.
    flows : tuple of Flow
        What goes from stage to stage.
    best, worst : float or None
        Seconds that it takes at least and at most: of what is known, if some tasks are unknown;
        then nobody knows the most.
    known : mapping of str to str
        Where it is known from how long tasks take, by their prefix.
    money : Money or None
        What it costs, from `low` to `high` dollars; None where nothing costs anything.
    reasons : tuple of str
        Why it was cut where it was.
    why : Lines
        The same, to be read.
    prior : PriorWork or None
        What a named run has already.
    """

    def __init__(self, estimate: Estimate, prior: PriorWork | None = None, plan: str = "0") -> None:
        outline = estimate.outline
        self.stages = outline.stages
        self.flows = outline.flows
        self.reasons = outline.reasons
        self.money = estimate.cost
        self.best = outline.best
        self.worst = outline.worst
        self.known = {prefix: source.value for prefix, source in estimate.known.items()}
        self.prior = prior
        self._time = estimate.lines
        self._plan = plan

    @property
    def why(self) -> Lines:
        """Why it was cut where it was."""
        return Lines(self.reasons)

    @property
    def jobs(self) -> int:
        """The number of jobs that it starts: the shards of all stages."""
        return sum(stage.shards for stage in self.stages)

    @property
    def tasks(self) -> int:
        """The number of tasks in all stages."""
        return sum(sum(stage.tasks.values()) for stage in self.stages)

    def __repr__(self) -> str:
        lines = [self._title(), *self._said()]
        for number, stage in enumerate(self.stages):
            lines.append(f"{self._stage(number)}: {self._words(number)}")
            lines.append(f"    runs  {_tasks(stage.tasks)}")
            for flow in self.flows:
                if flow.target == number:
                    lines.append(f"    reads {_flow(flow)} {self._source(flow)}")
                if flow.source == number and flow.target is None:
                    lines.append(f"    gives {_flow(flow)} to you")
        return "\n".join([*lines, *self._hint()])

    def _repr_html_(self) -> str:
        boxes = [
            Box(f"{self._stage(number)}: {self._words(number)}", self._notes(number), stage.tasks)
            for number, stage in enumerate(self.stages)
        ]
        arrows = [
            Arrow(flow.source, flow.target, _flow(flow))
            for flow in self.flows
            if flow.source is not None and flow.target is not None
        ]
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        why = f"<details><summary>{_CUT_SO}</summary><ul>{reasons}</ul></details>"
        picture = draw(boxes, arrows) if boxes else ""
        title = "<br>".join(map(escape, [self._title(), *self._said()]))
        return f"<p>{title}</p>{picture}{why if reasons else ''}"

    def _said(self) -> list[str]:
        return [*self._time, *([] if self.prior is None else self.prior.lines)]

    def _hint(self) -> list[str]:
        return [f"{_CUT_SO}: .why of this plan"] if self.reasons else []

    def _title(self) -> str:
        if not self.stages:
            return "nothing to run: all values exist already or are being computed"
        return (
            f"{many('stage', len(self.stages))}, {many('job', self.jobs)}, "
            f"{many('task', self.tasks)}"
        )

    def _stage(self, number: int) -> str:
        return f"stage {self._plan}.{number}"

    def _source(self, flow: Flow) -> str:
        if flow.source is None:
            return "that exist already"
        return f"of {self._stage(flow.source)}"

    def _words(self, number: int) -> str:
        stage = self.stages[number]
        tasks = sum(stage.tasks.values())
        return f"{many('job', stage.shards)}, {many('task', tasks)}, {_work(stage, tasks)}"

    def _notes(self, number: int) -> list[str]:
        notes = [f"runs {_tasks(self.stages[number].tasks)}"]
        for flow in self.flows:
            if flow.source is None and flow.target == number:
                notes.append(f"reads {_flow(flow)} {self._source(flow)}")
            if flow.source == number and flow.target is None:
                notes.append(f"gives {_flow(flow)} to you")
        return notes


class Lines(tuple[str, ...]):
    """Lines of text that are read as such in a terminal."""

    def __repr__(self) -> str:
        return "\n".join(self)


def _work(stage: StageOutline, tasks: int) -> str:
    if stage.untimed and stage.untimed == tasks:
        return "of unknown length"
    work = f"{duration(stage.seconds)} of work"
    return f"{work} and {many('task', stage.untimed)} of unknown length" if stage.untimed else work


def _tasks(tasks: Mapping[str, int]) -> str:
    ordered: Iterable[tuple[str, int]] = sorted(tasks.items(), key=lambda item: -item[1])
    named = [f"{count} {prefix}" for prefix, count in ordered]
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    return ", ".join([*named[:NAMED], *more]) or "nothing: it only joins stages"


def _flow(flow: Flow) -> str:
    words = many("value", flow.values)
    if flow.reads > flow.values:
        words += f" {many('time', flow.reads)}"
    if flow.unknown == flow.reads:
        return f"{words} of unknown size"
    # What isn't made yet will be as large as others of its prefix were.
    known = ("about " if flow.source is not None else "") + format_bytes(int(flow.nbytes))
    return f"{words}, {known}" + (f" and {flow.unknown} of unknown size" if flow.unknown else "")
