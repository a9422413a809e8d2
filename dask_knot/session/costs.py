"""The costs of a session's tasks: what the next plans, and the next sessions, know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import dask

from dask_knot.planning import Cost
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import session_of
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts, merge
from dask_knot.settings import checks
from dask_knot.tracking.durations import NO_CODE
from dask_knot.tracking.events import CostsRecalled, ManifestFound
from dask_knot.tracking.memory import MemoryNeeds

#: So many seconds of work tell how many threads it uses.
TELLING = 0.1
#: The profile is written again after so many seconds, if it has changed.
WRITTEN_EVERY = 60.0


class CostSheet:
    """Adds up what the tasks of a session's own plans have cost, by prefix and code.

    Parameters
    ----------
    note : callable
        Keeps the sum; it may raise StoreError.
    session : int
        The number of the session.
    codes : mapping of str to bytes
        The digest of the code of tasks, by prefix, as it is now.
    now : callable
        A clock that never goes back, in seconds.
    memory : MemoryNeeds
        What jobs turned out to need.
    """

    def __init__(
        self,
        note: Callable[[Profile], None],
        session: int,
        codes: Mapping[str, bytes],
        now: Callable[[], float],
        memory: MemoryNeeds,
    ) -> None:
        self._note = note
        self._session = session
        self._codes = codes
        self._now = now
        self._memory = memory
        self._costs: dict[ProfileKey, TaskCosts] = {}
        self._written = now()
        self._has_changed = False
        self._needed = Profile({})

    def take(self, found: Iterable[object]) -> None:
        """Add what manifests tell."""
        for event in found:
            if isinstance(event, ManifestFound) and self._is_ours(event):
                for prefix, costs in costs_of(event.manifest).items():
                    key = ProfileKey(prefix, self._codes.get(prefix, NO_CODE))
                    known = self._costs.get(key)
                    self._costs[key] = costs if known is None else known + costs
                    self._has_changed = True

    @property
    def is_due(self) -> bool:
        """Whether there is something new, and the last time is long ago."""
        if self._now() - self._written < WRITTEN_EVERY:
            return False
        return self._has_changed or memory_of(self._memory) != self._needed

    def write(self) -> None:
        """Write the sum into the run, if there is anything new; blocks.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        needed = memory_of(self._memory)
        if self._has_changed or needed != self._needed:
            self._written, self._has_changed, self._needed = self._now(), False, needed
            self._note(merge([Profile(dict(self._costs)), needed]))

    def _is_ours(self, event: ManifestFound) -> bool:
        return session_of(event.shard.stage.plan) == self._session


def costs_of(manifest: Manifest) -> dict[str, TaskCosts]:
    """Say what the tasks of a manifest have cost, by prefix."""
    return {
        prefix: TaskCosts(
            tasks=work.tasks,
            seconds=work.seconds,
            squares=work.squares,
            longest=work.longest,
            nbytes=work.nbytes,
            values=work.values,
            # Of a job that ran nothing else its own peak is as good.
            peak=work.peak or (manifest.peak if len(manifest.work) == 1 else 0),
            shards=1,
            reserved=manifest.reserved,
            threads=work.cpu / work.seconds if work.seconds >= TELLING else 0.0,
        )
        for prefix, work in manifest.work.items()
    }


def memory_of(needs: MemoryNeeds) -> Profile:
    """Say what jobs of tasks that ran out of memory needed: what was enough, and what wasn't."""
    costs = {ProfileKey(*kind): TaskCosts(peak=had + 1) for kind, had in needs.short().items()}
    for kind, memory in needs.enough().items():
        key = ProfileKey(*kind)
        costs[key] = replace(costs.get(key, TaskCosts()), memory=memory)
    return Profile(costs)


def recalled(profile: Profile) -> CostsRecalled:
    """Tell a tracker what earlier sessions have noted."""
    costs = profile.costs.items()
    return CostsRecalled(
        {(*key,): Cost(one.mean, one.deviation) for key, one in costs if one.tasks},
        {(*key,): one.nbytes / one.values for key, one in costs if one.values},
        peaks={(*key,): one.peak for key, one in costs if one.peak},
        memory={(*key,): one.memory for key, one in costs if one.memory},
    )


def assumed() -> CostsRecalled:
    """Tell a tracker what Dask assumes of tasks that never ran.

    Raises
    ------
    ConfigurationError
        If something there is no time.
    """
    path = "distributed.scheduler.default-task-durations"
    known = dask.config.get(path, None) or {}
    return CostsRecalled(
        assumed={prefix: checks.seconds(f"{path}.{prefix}", t) for prefix, t in known.items()}
    )
