"""The recorder of a named run: each plan is written down before it is submitted, and no work twice.

The record is a log. A plan is appended at the next free number; if another session has written one
there meanwhile, that is read first, and what it makes is taken out of ours. So the sessions of a
run agree about who makes what without any of them waiting for another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from itertools import chain

from dask.typing import Key

from dask_knot.digests.components import encode
from dask_knot.errors import StoreError
from dask_knot.planning import EarlierStage, Plan, Stage
from dask_knot.run.archive import Archive
from dask_knot.run.foundation import Readers
from dask_knot.run.names import StageId
from dask_knot.run.record import (
    NO_DIGEST,
    Entry,
    PlanRecord,
    RecordedStage,
    ScatterRecord,
    pieces,
)
from dask_knot.tracking.actions import MakePlan
from dask_knot.tracking.events import ValuesScattered

logger = logging.getLogger(__name__)


class Recorder:
    """Writes plans into the record, and reads what others have written. One call at a time.

    Parameters
    ----------
    archive : Archive
        The record.
    clock : callable
        Gives the seconds since the epoch.
    session : int
        The number of the session.
    reuses : bool
        Whether work that others do is taken from them; else it is done, and recorded, once more.
    refusal : StoreError, optional
        Why nothing can be written here, if so.
    """

    def __init__(
        self,
        archive: Archive,
        clock: Callable[[], float],
        session: int,
        *,
        reuses: bool = True,
        refusal: StoreError | None = None,
    ) -> None:
        self._archive = archive
        self._clock = clock
        self._session = session
        self._reuses = reuses
        self._refusal = refusal
        self._next = 0
        self._untold: list[Entry] = []  # read, when the store went away before all was done

    def news(self, readers: Readers | None = None) -> list[Entry]:
        """Read what was written since the last time; several entries at once, if there are many."""
        found = self._archive.read_entries(self._next, readers)
        self._next += len(found)
        return found

    def record(self, action: MakePlan, plan: Plan) -> tuple[PlanRecord | None, list[Entry]]:
        """Write a plan down.

        Returns
        -------
        PlanRecord or None
            What was written; None if others make a part of it by now.
        list of Entry
            What others have written meanwhile.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        made = recorded(action, plan, self._clock())
        ours = set(pieces(made.digests)) - {NO_DIGEST} if self._reuses else set()
        while not self._append(made):
            missed = self._missed()
            plans = [entry for entry in missed if isinstance(entry, PlanRecord)]
            own = [entry for entry in plans if entry.number == made.number]
            # All of them, also those behind one that overlaps: they won't be read again.
            self._untold += [entry for entry in missed if entry not in own]
            if own:  # it was written, and the answer was lost
                break
            if not all(ours.isdisjoint(pieces(entry.digests)) for entry in plans):
                return None, self._told()
        self._explain(action, plan)
        return made, self._told()

    def _explain(self, action: MakePlan, plan: Plan) -> None:
        """Keep what digests are made of; nothing depends on it but `dask knot why`."""
        parts = [graph.components for graph in action.graphs if graph.components is not None]
        if not parts:
            return
        reads: dict[Key, Collection[Key]] = {}
        for graph in action.graphs:
            reads |= {
                key: graph.tasks[key].dependencies
                for stage in plan.stages
                for shard in stage.shards
                for key in shard.tasks
                if key in graph.tasks
            }
        try:
            self._archive.write_why(action.number, encode(parts, reads))
        except StoreError as error:
            logger.debug("the explanation of plan %d could not be saved: %s", action.number, error)

    def scatter(self, event: ValuesScattered) -> list[Entry]:
        """Write down where values are that a client scattered; give what others have written."""
        entry = ScatterRecord(self._session, self._clock(), event.places, event.digests)
        while not self._append(entry):
            self._untold += self._missed()
        return self._told()

    def _told(self) -> list[Entry]:
        found, self._untold = self._untold, []
        return found

    def withdraw(self, number: int, stages: int) -> None:
        """Tell others that the stages of a plan which was written down won't come."""
        self._archive.note_jobs(number, dict.fromkeys(range(stages), ""))

    def _append(self, entry: Entry) -> bool:
        if self._refusal is not None:
            raise self._refusal
        is_written = self._archive.append(entry, self._next)
        self._next += is_written
        return is_written

    def _missed(self) -> list[Entry]:
        """Read the entries that stand where ours was to be."""
        found = self.news()
        if not found:  # refused, and yet not there: nobody can go on from here
            raise StoreError(
                f"entry {self._next} of the record can neither be written nor read: the "
                "store doesn't honor writes that may happen only once"
            )
        return found


def recorded(action: MakePlan, plan: Plan, now: float) -> PlanRecord:
    """Make the record of a plan.

    Parameters
    ----------
    action : MakePlan
        What was to be planned.
    plan : Plan
        How it was cut.
    now : float
        Seconds since the epoch.
    """
    outputs = [key for stage in plan.stages for shard in stage.shards for key in shard.outputs]
    wanted = set(action.request.wanted)
    codes = dict(chain.from_iterable(graph.codes.items() for graph in action.graphs))
    used = {prefix for stage in plan.stages for s in stage.shards for prefix in s.prefixes}
    limits = action.request.limits
    return PlanRecord(
        number=action.number,
        made=now,
        stages=[_stage(action.number, stage) for stage in plan.stages],
        keys=outputs,
        digests=_digests(outputs, action),
        wanted=[number for number, key in enumerate(outputs) if key in wanted],
        codes={prefix: code for prefix, code in codes.items() if prefix in used},
        limits={"slots": limits.slots, "target": limits.target_seconds},
    )


def _stage(plan: int, stage: Stage) -> RecordedStage:
    tasks: dict[str, int] = {}
    for shard in stage.shards:
        for prefix, count in shard.prefixes.items():
            tasks[prefix] = tasks.get(prefix, 0) + count
    return RecordedStage(
        depends_on=[_stage_id(plan, one.upstream) for one in stage.depends_on],
        tasks=tasks,
        vcpus=stage.resources.vcpus,
        memory=stage.resources.memory,
        gpus=stage.resources.gpus,
        outputs=[len(shard.outputs) for shard in stage.shards],
        sizes=[len(shard.tasks) for shard in stage.shards],
    )


def _stage_id(plan: int, upstream: int | EarlierStage) -> StageId:
    if isinstance(upstream, EarlierStage):
        assert isinstance(upstream.id, StageId)
        return upstream.id
    return StageId(plan, upstream)


def _digests(outputs: Sequence[Key], action: MakePlan) -> bytes:
    digests = [graph.digests for graph in action.graphs]
    if action.misread:
        digests = [{key: NO_DIGEST for key in action.misread}, *digests]
    if len(digests) == 1:
        return b"".join([digests[0].get(key, NO_DIGEST) for key in outputs])
    return b"".join(
        next((known[key] for known in digests if key in known), NO_DIGEST) for key in outputs
    )
