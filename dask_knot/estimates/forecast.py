"""The answer of an estimate: a table, and the settings that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from dask.utils import format_bytes

from dask_knot.errors import ConfigurationError
from dask_knot.estimates.sizes import JobSize, readable
from dask_knot.plural import duration, many
from dask_knot.prices.money import Money

#: What can be had for less money, or sooner.
GOALS = ("cost", "time")
HEADS = ("tasks", "", "tried", "median", "95 %", "peak", "job", "jobs")
UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """What is expected of the tasks of one prefix.

    Attributes
    ----------
    prefix : str
        That of their keys.
    tasks, tried, jobs : int
        How many there are, how many were tried, and in how many jobs they run.
    median, p95, seconds : float or None
        Seconds of a task: half of them take less than the first, all but a twentieth less than the
        second; and seconds of all together. None if nothing is known.
    peak : int
        Bytes that a job was seen to have at most while one of them ran; 0 if that isn't known.
    size : JobSize or None
        The smallest job that fits; None if nothing is known, or none is large enough.
    startup : float
        Seconds that the first of them takes longer in each job: it imports, and the like.
    by_cores : mapping of int to float
        Seconds of the median task in jobs of so many cores, where others than one were tried.
    money : mapping of str to Money
        What their work costs, by the way in which it is paid for; those of which a price is known.
    """

    prefix: str
    tasks: int
    tried: int = 0
    jobs: int = 0
    median: float | None = None
    p95: float | None = None
    seconds: float | None = None
    peak: int = 0
    size: JobSize | None = None
    startup: float = 0.0
    by_cores: Mapping[int, float] = field(default_factory=dict)
    money: Mapping[str, Money] = field(default_factory=dict)

    def cells(self, ways: Sequence[str]) -> list[str]:
        """Give what stands in the table."""
        return [
            self.prefix,
            f"{self.tasks:,}",
            f"{self.tried:,}",
            _time(self.median),
            _time(self.p95),
            format_bytes(self.peak) if self.peak else UNKNOWN,
            str(self.size) if self.size else UNKNOWN,
            f"{self.jobs:,}",
            *(str(self.money.get(way, UNKNOWN)) for way in ways),
        ]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a computation is expected to take, from a few of its tasks.

    Attributes
    ----------
    rows : sequence of ForecastRow
        By prefix, in the order in which they run.
    seconds : float or None
        From its beginning to its end, with as many jobs at once as there may be; None if nothing
        is known of any task.
    jobs : int
        How many it starts.
    vcpu_seconds : float
        Seconds of all jobs, starts included, times the vCPUs of each: these are paid for.
    sizes : mapping of str to JobSize
        The size of jobs for either goal: ``cost`` and ``time``.
    optimize : str
        The goal that numbers are for.
    prices : mapping of str to Money
        What all of it costs, by the way in which it is paid for.
    paid : str
        That of these ways in which the cluster's jobs are paid for; nothing where they are not.
    unknown : int
        Tasks of which nothing is known: they count as nothing.
    notes : sequence of str
        What else there is to say.
    """

    rows: Sequence[ForecastRow]
    seconds: float | None
    jobs: int
    vcpu_seconds: float
    sizes: Mapping[str, JobSize]
    optimize: str = "cost"
    prices: Mapping[str, Money] = field(default_factory=dict)
    paid: str = ""
    unknown: int = 0
    notes: Sequence[str] = ()

    @property
    def money(self) -> Money | None:
        """What all of it costs as the cluster's jobs are paid for; None if that isn't known."""
        return self.prices.get(self.paid)

    def settings(self, optimize: str | None = None) -> dict[str, str | int]:
        """Give keywords for a cluster: ``KnotCluster(**forecast.settings())``.

        Parameters
        ----------
        optimize : {"cost", "time"}, optional
            What is to be small; that of the estimate, unless told otherwise.

        Raises
        ------
        ConfigurationError
            If there is no such goal.
        """
        goal = self.optimize if optimize is None else check_goal(optimize)
        size = self.sizes.get(goal)
        return {} if size is None else {"memory": readable(size.memory), "cores": int(size.cores)}

    def __str__(self) -> str:
        if not self.rows:
            return "\n".join(self.lines)
        ways = [*self.prices]
        table = columns([[*HEADS, *ways], *(row.cells(ways) for row in self.rows)])
        return "\n".join([*table, *self.lines])

    __repr__ = __str__

    @property
    def lines(self) -> list[str]:
        """What there is to say of all tasks together."""
        if not self.rows:
            return ["nothing is left to compute"]
        least = "at least " if self.unknown else "about "
        if self.seconds is None:
            lines = ["time: unknown, as no task was run as a sample"]
        else:
            lines = [
                f"time: {least}{duration(self.seconds)}, in {many('job', self.jobs)} "
                f"({least}{duration(self.vcpu_seconds)} of a vCPU)"
            ]
        lines += [f"{way}: {money}" for way, money in self.prices.items()]
        if size := self.sizes.get(self.optimize):
            lines.append(f"jobs: {size}, for the least {self.optimize}")
        return [*lines, *self.notes]

    def _repr_html_(self) -> str:
        ways = [*self.prices]
        rows = [row.cells(ways) for row in self.rows]
        head = "".join(f"<th>{escape(cell)}</th>" for cell in (*HEADS, *ways))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        said = "<br>".join(map(escape, self.lines))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{said}</p>"


def check_goal(optimize: object) -> str:
    """Take a goal.

    Raises
    ------
    ConfigurationError
        If there is no such goal.
    """
    if optimize not in GOALS:
        raise ConfigurationError(
            f"optimize={optimize!r} is wrong: it should be one of {', '.join(map(repr, GOALS))}"
        )
    return str(optimize)


def check_sample(sample: object) -> int:
    """Take a number of samples.

    Raises
    ------
    ConfigurationError
        If it is no whole number from 1 on.
    """
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 1:
        raise ConfigurationError(
            f"sample={sample!r} is wrong: it should be a whole number of at least 1"
        )
    return sample


def _time(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else duration(seconds)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows as lines, with cells one below the other: words to the left, numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
