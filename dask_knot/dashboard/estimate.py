"""How long a plan takes, in words, and what is known of its tasks and from where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dask_knot.planning.outline import Outline
from dask_knot.plural import duration, many
from dask_knot.prices.money import Money
from dask_knot.tracking.durations import KnownFrom

#: Prefixes that are named of each source.
NAMED = 4
_WIDE = "they are spread over as many jobs as could help"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of how long a plan takes.

    Parameters
    ----------
    outline : Outline
        The plan in numbers.
    slots : int
        Jobs that may run at once.
    sources : mapping of str to KnownFrom
        Where it is known from how long tasks take, by their prefix; the others are unknown.
    money : sequence of str
        What it costs, in words; nothing where nothing costs anything.
    cost : Money, optional
        The same in dollars.
    """

    outline: Outline
    slots: int
    sources: Mapping[str, KnownFrom] = field(default_factory=dict)
    money: Sequence[str] = ()
    cost: Money | None = None

    @property
    def known(self) -> dict[str, KnownFrom]:
        """Where it is known from how long the tasks of the plan take, by their prefix."""
        return {prefix: self.sources[prefix] for prefix in self._tasks() if prefix in self.sources}

    @property
    def lines(self) -> list[str]:
        """What there is to say of it; nothing of a plan that has no tasks."""
        tasks = self._tasks()
        if not tasks:
            return []
        lines = [f"time: {self._time(sum(tasks.values()))}", *self.money]
        known = self.known
        said = [
            f"{_names(p for p in known if known[p] is source)} ({source.value})"
            for source in KnownFrom
            if source in known.values()
        ]
        if said:
            lines.append(f"known: {'; '.join(said)}")
        unknown = [prefix for prefix in tasks if prefix not in known]
        if unknown:
            lines.append(f"not known: {_names(unknown)} (nothing is assumed: {_WIDE})")
        return lines

    def _tasks(self) -> dict[str, int]:
        tasks: dict[str, int] = {}
        for stage in self.outline.stages:
            for prefix, count in stage.tasks.items():
                tasks[prefix] = tasks.get(prefix, 0) + count
        return tasks

    def _time(self, tasks: int) -> str:
        unknown, at_once = self.outline.untimed, f"with {many('job', self.slots)} at once"
        best, worst = duration(self.outline.best), duration(self.outline.worst or 0.0)
        known = self.known
        has_run = {*known.values()} - {KnownFrom.DASK}
        if unknown and not has_run:  # Dask assumes next to nothing, of a few kinds
            never = _names(prefix for prefix in self._tasks() if prefix not in known)
            return f"not known yet: no task like {never} has run"
        if unknown:
            share = f"{unknown:,} of {many('task', tasks)}"
            return f"at least {best}, {at_once}; not known yet: {share}"
        guess = "" if has_run else "a guess, as no such task has run: "
        if best == worst:
            return f"{guess}about {best}, {at_once}"
        return f"{guess}at least {best}, at most about {worst}, {at_once}"


def _names(prefixes: Iterable[str]) -> str:
    names = list(prefixes)
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*names[:NAMED], *more])
