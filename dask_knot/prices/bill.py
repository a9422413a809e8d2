"""The bill of jobs that ran: what they did cost, by stage and by what ran in them. Pure.

Jobs pay for the seconds of every attempt, lost ones included. The rest of a machine that isn't
full, and its own start, no job pays for here: AWS's own bill has them. Fargate has no rest.

Seconds of a job in which no task ran (its start, gaps, its end) are a line of their own; those in
which tasks ran belong to their prefixes, by the seconds of each. What isn't known stays unknown:
the sum is then "at least" so much, and it is said what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape

from dask_knot.plural import many
from dask_knot.prices.attempt import HOUR, PaidAttempt, hourly, remarks, why_unknown
from dask_knot.prices.money import NOTHING, UNKNOWN, Money
from dask_knot.prices.pricelist import PriceList

#: S3 takes the price of a write for a listing, too; deletions are free.
WRITES, READS = ("put", "list", "part"), ("get", "head")
NO_RATES = "what requests to S3 cost in {} isn't known here"


@dataclass(frozen=True, slots=True, repr=False)
class Bill:
    """What jobs did cost.

    Attributes
    ----------
    stages : mapping of str to Money
        Jobs by stage, start-up and idle time included.
    tasks : mapping of str to Money
        The time in which tasks ran, by key prefix.
    task_seconds : mapping of str to float
        The seconds of these tasks.
    idle : Money
        The time of jobs in which none did.
    store : Money
        Requests to S3, of jobs and of this client.
    attempts, seconds, vcpu_hours : int, float, float
        How often a job was started, and for how long they ran.
    idle_seconds : float
        Those in which no task ran.
    requests : mapping of str to int
        Requests to the store, by operation.
    known : Money
        Jobs and store, but for those of which no price is known.
    unknown : mapping of str to float
        vCPU-hours of which no price is known, by the reason.
    notes : tuple of str
        What else is to be said.
    """

    stages: Mapping[str, Money] = field(default_factory=dict)
    tasks: Mapping[str, Money] = field(default_factory=dict)
    task_seconds: Mapping[str, float] = field(default_factory=dict)
    idle: Money = NOTHING
    store: Money = NOTHING
    attempts: int = 0
    seconds: float = 0.0
    vcpu_hours: float = 0.0
    idle_seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    known: Money = NOTHING
    unknown: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def jobs(self) -> Money:
        """All jobs."""
        return sum(self.stages.values(), NOTHING)

    @property
    def total(self) -> Money:
        """Jobs and store."""
        return self.jobs + self.store

    def rows(self) -> list[tuple[str, str]]:
        """Give the lines of the bill: what, and how much."""
        span = _seconds(self.seconds)
        asked = many("request", sum(self.requests.values()))
        rows = [
            ("total", str(self.total)),
            ("jobs", f"{self.jobs} ({many('attempt', self.attempts)}, {span}, {self._hours()})"),
            *(
                (f"  {prefix}", f"{money} ({_seconds(self.task_seconds[prefix])})")
                for prefix, money in self.tasks.items()
            ),
            ("  start-up and idle", f"{self.idle} ({_seconds(self.idle_seconds)})"),
            *([("requests to the store", f"{self.store} ({asked})")] if self.requests else []),
            *((stage, str(money)) for stage, money in self.stages.items()),
        ]
        missing = (f"{h:.3g} vCPU-hours {why}" for why, h in self.unknown.items())
        return [*rows, *(("unknown", line) for line in missing), *(("", n) for n in self.notes)]

    def _hours(self) -> str:
        return f"{self.vcpu_hours:,.3g} vCPU-hours"

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows())
        return "\n".join(f"{name.ljust(width)}  {text}".rstrip() for name, text in self.rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = ((escape(name).replace("  ", "&emsp;"), escape(text)) for name, text in self.rows())
        rows = (f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in cells)
        return f"<table>{''.join(rows)}</table>"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def bill_of(
    attempts: Iterable[PaidAttempt],
    requests: Mapping[str, int],
    prices: PriceList | None,
    region: str,
    notes: Iterable[str] = (),
) -> Bill:
    """Add up what jobs did cost.

    Parameters
    ----------
    attempts : iterable of PaidAttempt
        All attempts of all jobs.
    requests : mapping of str to int
        Requests to S3 by operation; those to a folder cost nothing and are left out.
    prices : PriceList or None
        What is known of prices; None where nothing has one.
    region : str
        Where jobs run that don't tell their zone, and where the store is; empty: not known.
    notes : iterable of str
        What else is to be said of it.
    """
    till = _Till(prices, region)
    for attempt in attempts:
        till.add(attempt)
    rates = prices.s3(region) if prices is not None else None
    store = _requests(requests, rates.write, rates.read) if rates else _unpriced(requests)
    lacking = [NO_RATES.format(region or "an unknown region")] if store.is_unknown else []
    return Bill(
        dict(till.stages),
        dict(sorted(till.tasks.items())),
        dict(sorted(till.task_seconds.items())),
        till.idle,
        store,
        till.attempts,
        till.seconds,
        till.vcpu_hours,
        till.idle_seconds,
        dict(requests),
        till.known + (store if rates else NOTHING),
        dict(till.unknown),
        tuple(dict.fromkeys([*till.notes, *lacking, *notes])),
    )


class _Till:
    """The lines of a bill while it is added up."""

    def __init__(self, prices: PriceList | None, region: str) -> None:
        self._prices, self._region = prices, region
        self._hourly: dict[tuple[object, ...], tuple[Money, str]] = {}
        self.stages: dict[str, Money] = {}
        self.tasks: dict[str, Money] = {}
        self.task_seconds: dict[str, float] = {}
        self.unknown: dict[str, float] = {}
        self.notes: list[str] = []
        self.idle = self.known = NOTHING
        self.attempts = 0
        self.seconds = self.vcpu_hours = self.idle_seconds = 0.0

    def add(self, one: PaidAttempt) -> None:
        """Add an attempt."""
        price, why = self._price(one)
        seconds = one.seconds
        busy = min(one.busy, seconds)
        money = price * (seconds / HOUR)
        self.attempts += 1
        self.seconds += seconds
        self.vcpu_hours += one.vcpu_hours
        self.idle_seconds += seconds - busy
        self.stages[one.stage] = self.stages.get(one.stage, NOTHING) + money
        if why:
            self.unknown[why] = self.unknown.get(why, 0.0) + one.vcpu_hours
        else:
            self.known += money
        worked = sum(one.work.values())
        if worked <= 0:
            self.idle += money
            return
        self.idle += price * ((seconds - busy) / HOUR)
        for prefix, part in one.work.items():
            mine = price * (busy / HOUR * part / worked)
            self.tasks[prefix] = self.tasks.get(prefix, NOTHING) + mine
            self.task_seconds[prefix] = self.task_seconds.get(prefix, 0.0) + part

    def _price(self, one: PaidAttempt) -> tuple[Money, str]:
        machine = one.machine
        key = (machine[1:], one.vcpus, one.memory, one.gpus)
        if key not in self._hourly:
            hour = hourly(one, self._prices, machine.region or self._region)
            self._hourly[key] = (
                (UNKNOWN, why_unknown(machine, self._region)) if hour is None else (hour, "")
            )
            self.notes += remarks(one, self._prices, self._region)
        return self._hourly[key]


def _requests(requests: Mapping[str, int], write: Money, read: Money) -> Money:
    written = sum(requests.get(name, 0) for name in WRITES)
    return write * written + read * sum(requests.get(name, 0) for name in READS)


def _unpriced(requests: Mapping[str, int]) -> Money:
    return UNKNOWN if any(requests.get(name) for name in (*WRITES, *READS)) else NOTHING
