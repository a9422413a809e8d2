"""The costs of a session's tasks: what the next plans, and the next sessions, know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dask_knot.run.archive import Archive
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import session_of
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.tracking.events import ManifestFound

#: The code of tasks of which none is known.
NO_CODE = b""
#: The profile is written again after so many seconds, if it has changed.
WRITTEN_EVERY = 60.0


class CostSheet:
    """Adds up what the tasks of a session's own plans have cost, by prefix and code.

    Parameters
    ----------
    archive : Archive
        Where the sum is kept.
    session : int
        The number of the session.
    codes : mapping of str to bytes
        The digest of the code of tasks, by prefix, as it is now.
    now : callable
        A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        archive: Archive,
        session: int,
        codes: Mapping[str, bytes],
        now: Callable[[], float],
    ) -> None:
        self._archive = archive
        self._session = session
        self._codes = codes
        self._now = now
        self._costs: dict[ProfileKey, TaskCosts] = {}
        self._written = now()
        self._has_changed = False

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
        return self._has_changed and self._now() - self._written >= WRITTEN_EVERY

    def write(self) -> None:
        """Write the sum into the run, if there is anything new; blocks.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        if self._has_changed:
            self._written, self._has_changed = self._now(), False
            self._archive.write_profile(self._session, Profile(dict(self._costs)))

    def _is_ours(self, event: ManifestFound) -> bool:
        return session_of(event.shard.stage.plan) == self._session


def costs_of(manifest: Manifest) -> dict[str, TaskCosts]:
    """Say what the tasks of a manifest have cost, by prefix."""
    times = memoryview(manifest.times).cast("d")
    squares = [0.0] * len(manifest.work)
    longest = [0.0] * len(manifest.work)
    for number, kind in enumerate(memoryview(manifest.kinds).cast("I")):
        seconds = times[2 * number + 1] - times[2 * number]
        squares[kind // 2] += seconds * seconds
        longest[kind // 2] = max(longest[kind // 2], seconds)
    found = {}
    for place, (prefix, work) in enumerate(manifest.work.items()):
        found[prefix] = TaskCosts(
            tasks=work.tasks,
            seconds=work.seconds,
            squares=squares[place],
            longest=longest[place],
            nbytes=work.nbytes,
            values=work.values,
            peak=manifest.peak,
            shards=1,
        )
    return found


def known_costs(profile: Profile) -> tuple[dict[str, float], dict[str, float]]:
    """Give the seconds of a task, and the bytes of a value, by prefix, whatever their code was."""
    sums: dict[str, TaskCosts] = {}
    for key, costs in profile.costs.items():
        sums[key.prefix] = sums.get(key.prefix, TaskCosts()) + costs
    seconds = {prefix: costs.mean for prefix, costs in sums.items() if costs.tasks}
    nbytes = {prefix: costs.nbytes / costs.values for prefix, costs in sums.items() if costs.values}
    return seconds, nbytes
