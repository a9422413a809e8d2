"""Everything that is shown of one run: what it needs to be read for that, beyond its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_knot.errors import ConfigurationError
from dask_knot.prices.bill import Bill
from dask_knot.run.names import StageId
from dask_knot.runs.billing import run_bill
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs
from dask_knot.runs.mishaps import Mishap, read_mishaps
from dask_knot.runs.overview import look_at
from dask_knot.runs.reading import Observe, RunView
from dask_knot.runs.shares import PrefixCount, by_prefix
from dask_knot.runs.stages import named_stage
from dask_knot.runs.state import Progression


@dataclass(frozen=True, slots=True)
class Portrait:
    """A run in all detail.

    Attributes
    ----------
    view : RunView
        Its record and its sessions.
    there : Progression
        How far it is.
    known : KnownJobs
        What Batch says of its jobs.
    done : mapping of StageId to PrefixCount
        How many tasks are done, by stage and key prefix.
    ids : mapping of StageId to str
        The ids of jobs, by what was recorded and what Batch says.
    mishaps : sequence of Mishap
        What went wrong, the latest first.
    published : sequence of str
        The names of published datasets.
    bill : Bill or None
        What it did cost, if that was asked.
    chosen : StageId or None
        The one stage that was asked for.
    """

    view: RunView
    there: Progression
    known: KnownJobs
    done: Mapping[StageId, PrefixCount]
    ids: Mapping[StageId, str]
    mishaps: Sequence[Mishap]
    published: Sequence[str]
    bill: Bill | None = None
    chosen: StageId | None = None


def portrait(
    depot: Depot, name: str, observe: Observe, stage: str | None = None, with_cost: bool = False
) -> Portrait:
    """Read all that is shown of a run, or of one stage; what it cost only if that is asked.

    Raises
    ------
    ConfigurationError
        If there is no such run, or it has no such stage.
    StoreError
        If it can't be read.
    """
    view, known = look_at(depot, name, observe)
    chosen = None if stage is None else _chosen(view, stage)
    view, done = by_prefix(view)
    there = view.progression()
    ids = {**view.ids, **{stage: job.id for stage, job in known.jobs.items()}}
    mishaps = read_mishaps(view.run, there, stage=chosen)
    published = view.run.record.list_published()
    bill = run_bill(depot, view, known) if with_cost else None
    return Portrait(view, there, known, done, ids, mishaps, published, bill, chosen)


def _chosen(view: RunView, text: str) -> StageId:
    stage = named_stage(view, text)
    if stage is None:
        raise ConfigurationError(f"{text!r} is not a stage: write it as 'stage 0.1' or 0.1")
    return stage
