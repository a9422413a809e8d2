"""The number of jobs that may run at once, asked for in jobs, cores or memory as elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dask.utils import format_bytes

from dask_knot.errors import ConfigurationError
from dask_knot.plural import many
from dask_knot.settings import checks
from dask_knot.settings.settings import Settings

#: Of Dask's `Adaptive`: when workers are started and stopped, which no one has to decide here.
TIMING = ("interval", "wait_count", "target_duration", "worker_key")
UNITS = ("", "_jobs", "_cores", "_memory")
LIMITS = tuple(f"{end}{unit}" for end in ("minimum", "maximum") for unit in UNITS)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Limits set by `adapt`, with the face of Dask's `Adaptive`: jobs come and go by themselves."""

    minimum: int
    maximum: int

    def stop(self) -> None:
        """Do nothing: the maximum stays until `scale` or `adapt` change it."""


class Scaling:
    """Turns what is asked for into a number of jobs, which all have the same size.

    Parameters
    ----------
    settings : Settings
        The cores and the memory of a job.
    """

    def __init__(self, settings: Settings) -> None:
        self._cores = settings.cores
        self._memory = settings.memory

    @property
    def size(self) -> str:
        """The size of a job, in words."""
        return f"{self._cores} vCPU and {format_bytes(self._memory)}"

    def jobs_of(self, given: Mapping[str, Any]) -> int:
        """Give the number of jobs that `KnotCluster.scale` was asked for: see there.

        Raises
        ------
        ConfigurationError
            If a number is none, or less than 1, or there is none.
        """
        wanted = [
            self._in_jobs(name, value, math.ceil)
            for name, value in given.items()
            if value is not None
        ]
        if not wanted:
            raise ConfigurationError(
                "scale() needs to know how many: scale(10), scale(jobs=10), scale(cores=40) "
                'or scale(memory="160 GiB")'
            )
        return max(wanted)

    def adaptation_of(self, given: Mapping[str, Any], present: int) -> Adaptation:
        """Give the limits that `KnotCluster.adapt` was asked for: see there.

        Parameters
        ----------
        given : mapping of str to Any
            The arguments.
        present : int
            How many jobs may run at once until now.

        Raises
        ------
        TypeError
            If there is no such argument.
        ConfigurationError
            If a number is none, or the minimum is above the maximum.
        """
        if unknown := sorted(set(given) - {*LIMITS, *TIMING}):
            raise TypeError(
                f"adapt() has no argument {', '.join(unknown)}; it has: "
                f"{', '.join((*LIMITS, *TIMING))}"
            )
        least = max(self._limits("minimum", given, math.ceil), default=0)
        most = min(self._limits("maximum", given, math.floor), default=max(present, least))
        if least > most:
            raise ConfigurationError(
                f"adapt() needs a maximum that is not below the minimum: at least {least} and at "
                f"most {many('job', most)} of {self.size} can't be both"
            )
        return Adaptation(least, most)

    def _limits(
        self, end: str, given: Mapping[str, Any], rounded: Callable[[float], int]
    ) -> list[int]:
        """Read all limits of one kind, in jobs; those that are none say nothing."""
        found = {unit: given.get(f"{end}{unit}") for unit in UNITS}
        return [
            self._in_jobs(f"{end}{unit}", value, rounded, 1 if end == "maximum" else 0)
            for unit, value in found.items()
            if value is not None and value != math.inf
        ]

    def _in_jobs(
        self, name: str, value: Any, rounded: Callable[[float], int], least: int = 1
    ) -> int:
        """Turn an amount of something into a number of jobs, which have some of it each."""
        if value == 0 and least:
            raise checks.wrong(
                name,
                value,
                "at least 1: jobs exist only while they have work, so none is ever idle",
            )
        if name.endswith("memory"):
            size = checks.memory(name, value) if value else 0
            jobs = rounded((size or 0) / self._memory)
        else:
            each = self._cores if name.endswith("cores") else 1
            jobs = rounded(checks.count(name, value, least) / each)
        if jobs < least:
            raise checks.wrong(name, value, f"enough for at least one job of {self.size}")
        if jobs > checks.MOST_JOBS:
            raise checks.wrong(name, value, f"for at most {checks.MOST_JOBS:,} jobs")
        return jobs


def check_reach(n_workers: int, present: int) -> None:
    """Check that so many workers can come to be: Dask would wait for them for ever.

    Raises
    ------
    ConfigurationError
        If fewer jobs may run at once.
    """
    if checks.count("n_workers", n_workers) > present:
        raise ConfigurationError(
            f"{many('job', n_workers)} will never run at once, as at most {present} may: "
            f"call cluster.scale({n_workers}) first"
        )
