"""A vigil: jobs tell how they fare for as long as somebody watches, and stop by themselves."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from dask_knot.run.asks import Vitals
from dask_knot.run.names import ShardId, StageId
from dask_knot.runs.inquiry import Crew

#: After so many seconds jobs are told again that somebody watches, and new ones are looked for:
#: where that costs nothing, and elsewhere.
NEAR, FAR = 2.0, 20.0

#: Seconds that a job may take to tell once more, as it has read what is taken back since.
PARTING = 0.5


@dataclass(frozen=True, slots=True)
class VitalSign:
    """How one job fares."""

    run: str
    shard: ShardId
    vitals: Vitals


class Vigil:
    """Watches the jobs of a run.

    Parameters
    ----------
    find : callable
        Finds the jobs that are under way; asked again as new ones start.
    now : callable
        A clock that never goes back.
    pause : callable
        Waits for so many seconds.

    Attributes
    ----------
    crew : Crew
        The jobs that were under way when it looked last.
    """

    def __init__(
        self,
        find: Callable[[], Crew],
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._find = find
        self._now, self._pause = now, pause
        self.crew = find()
        self._id = uuid.uuid4().hex[:12]
        self._count = 0
        self._told = float("-inf")
        self._stages: dict[StageId, str] = {}
        self._first: dict[ShardId, Vitals] = {}

    def look(self) -> list[VitalSign]:
        """Tell how the jobs fare of which that is known by now; the busiest come first.

        Raises
        ------
        StoreError
            If the store can't be read or written.
        """
        renewal = FAR if self.crew.run.inquiries.is_dear else NEAR
        if self._now() - self._told >= renewal:
            if self._count:
                self.crew = self._find()
            self._tell()
        found = self.crew.run.inquiries.vitals()
        for shard, vitals in found.items():
            self._first.setdefault(shard, vitals)
        there = set(self.crew.shards)
        signs = [
            VitalSign(self.crew.run.name, shard, vitals)
            for shard, vitals in found.items()
            if shard in there and self._is_new(shard, vitals)
        ]
        return sorted(signs, key=lambda one: -one.vitals.cpu)

    def close(self) -> None:
        """Let the jobs know that nobody watches any more; delete what they have told."""
        inquiries = self.crew.run.inquiries
        for stage, watch in self._stages.items():
            asks = inquiries.read(stage)
            if asks.watch == watch:  # else somebody else watches
                inquiries.tell(stage, asks.without(watch))
        if self._stages:
            self._pause(PARTING)
        inquiries.forget_vitals(inquiries.vitals())

    def _tell(self) -> None:
        self._told = self._now()
        self._count += 1
        watch = f"{self._id}.{self._count}"
        for stage in self.crew.stages:
            asks = self.crew.run.inquiries.read(stage)
            self.crew.run.inquiries.tell(stage, asks.watched(watch))
            self._stages[stage] = watch

    def _is_new(self, shard: ShardId, vitals: Vitals) -> bool:
        """Tell whether a job still tells: what others' vigils have left says nothing."""
        return vitals.watch.startswith(self._id) or vitals != self._first[shard]
