"""What a run did cost, for whoever has its store: all of its manifests are read for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dask_knot.batch.attempts import AttemptBook
from dask_knot.errors import AwsError, CorruptObjectError, MissingObjectError
from dask_knot.planning import Resources
from dask_knot.prices.bill import Bill, bill_of
from dask_knot.prices.pricelist import PriceList
from dask_knot.prices.shelf import stocked
from dask_knot.run.machine import LOCAL, UNKNOWN, Machine
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import TWIN, ManifestId, StageId
from dask_knot.run.record import RecordedStage
from dask_knot.run.run import Run
from dask_knot.runs.attendance import Attendance
from dask_knot.runs.costing import CostedJob, Costing
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs
from dask_knot.runs.reading import READERS, RunView

NO_CLIENTS = "requests that clients made to the store aren't included: each client counts its own"


def run_bill(
    depot: Depot,
    view: RunView,
    known: KnownJobs,
    prices: Callable[[], PriceList] | None = None,
    now: Callable[[], float] = time.time,
) -> Bill:
    """Add up what all jobs of a run did cost, whoever submitted them.

    A read for each manifest; on AWS a call for each hundred children that Batch still knows.

    Parameters
    ----------
    depot : Depot
        Knows how jobs are asked for.
    view : RunView
        The run.
    known : KnownJobs
        Its jobs, as far as Batch knows them.
    prices, now : callable
        Give what is known of prices, those that are here unless told otherwise, and the time.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    stages = {
        StageId(plan.number, place): stage
        for plan in view.plans
        for place, stage in enumerate(plan.stages)
    }
    attendance = _attendance(view, stages)
    jobs = [*_jobs(stages, view.ids, known), *_forgotten_twins(stages, attendance, known)]
    is_paid = view.info.engine == "aws"
    book, notes = AttemptBook(), [known.why]
    if is_paid and depot.jobs is not None and known.is_asked:
        there = {job.id for job in (*known.jobs.values(), *known.twins)}
        ids = [id for job in jobs if job.id in there for id, _ in job.children()]
        try:
            book.look(depot.jobs.client, ids)
        except AwsError as error:
            notes.append(str(error))
    here = UNKNOWN if is_paid else Machine(lifecycle=LOCAL)
    costing = Costing(attendance, book.children, here, now())
    attempts = costing.attempts(jobs)
    requests = attendance.requests() if view.run.store_url.startswith("s3://") else {}
    listed = (prices or partial(stocked, region=depot.region))() if is_paid else None
    notes += [*costing.notes, *([NO_CLIENTS] if requests else [])]
    notes += listed.notes if listed is not None else ()
    return bill_of(attempts, requests, listed, depot.region, filter(None, notes))


def _attendance(view: RunView, stages: Mapping[StageId, RecordedStage]) -> Attendance:
    attendance = Attendance()
    wanted = [id for id in view.survey.manifests if not id.is_lost]
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        for id, manifest in zip(wanted, pool.map(partial(_read, view.run), wanted), strict=True):
            if manifest is not None:
                stage = stages.get(id.shard.stage)
                attendance.note(id.shard, manifest, stage is None or stage.vcpus > 1)
    return attendance


def _read(run: Run, id: ManifestId) -> Manifest | None:
    try:
        return run.read_manifest(id).manifest
    except (MissingObjectError, CorruptObjectError):  # told where it is missed
        return None


def _jobs(
    stages: Mapping[StageId, RecordedStage], ids: Mapping[StageId, str], known: KnownJobs
) -> Iterator[CostedJob]:
    for id, stage in stages.items():
        job = known.jobs.get(id)
        name = job.id if job is not None else ids.get(id, "")
        yield CostedJob(id, name, len(stage.outputs), _size(stage))
    for twin in known.twins:
        if twin.stage in stages:
            yield CostedJob(twin.stage, twin.id, 1, _size(stages[twin.stage]), twin.twin)


def _forgotten_twins(
    stages: Mapping[StageId, RecordedStage], attendance: Attendance, known: KnownJobs
) -> Iterator[CostedJob]:
    """Give the twins of which nobody but their manifests tells: no record has them."""
    there = {(twin.stage, twin.twin) for twin in known.twins}
    told = {shard for shard, attempt in attendance.attempts if attempt > TWIN}
    for shard in sorted(told):
        if shard.stage in stages and (shard.stage, shard.index) not in there:
            yield CostedJob(shard.stage, "", 1, _size(stages[shard.stage]), shard.index)


def _size(stage: RecordedStage) -> Resources:
    return Resources(stage.vcpus, stage.memory, stage.gpus)
