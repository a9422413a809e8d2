"""The last lines of the logs of a run's jobs; of those that are gone, what was kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dask.typing import Key

from dask_knot.errors import ConfigurationError, MissingObjectError
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs, child_of, is_job, job_of, read_job_logs
from dask_knot.runs.keys import find_key
from dask_knot.runs.mishaps import read_mishaps
from dask_knot.runs.overview import look_at
from dask_knot.runs.reading import Observe, RunView
from dask_knot.runs.stages import named_shard, named_stage

#: What is said of runs whose jobs are processes of this machine.
GONE = (
    "the logs of jobs on this machine belong to their client (`cluster.logs()`) and go when "
    "it closes; here is what was kept about lost jobs and errors"
)


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of a log."""

    title: str
    lines: Sequence[str] = ()


def read_logs(
    depot: Depot, name: str, what: str | None, lines: int, observe: Observe
) -> Iterator[LogEnd]:
    """Read the ends of logs of a run: of some of its jobs, of one, or of what makes a key.

    Raises
    ------
    ConfigurationError
        If there is no such run, job or key.
    StoreError
        If the run can't be read.
    AwsError
        If Batch can't be asked.
    """
    view, known = look_at(depot, name, observe)
    if depot.jobs is None or view.info.engine != "aws":
        yield from _kept(view, known, what, lines)
        return
    if not known.is_asked:
        yield LogEnd(f"AWS Batch can't be asked about jobs: {known.why}")
        yield from _kept(view, known, what, lines)
        return
    chosen: Sequence[str] = ()
    if what is not None:
        chosen = [_job(view, known, what)]
    found = read_job_logs(depot.jobs, known, chosen, lines)
    if not found:
        yield LogEnd("nothing was logged, or Batch has forgotten the jobs")
    for id, text in found.items():
        yield LogEnd(f"job {id}", text.splitlines())


def making(view: RunView, key: Key) -> ShardId:
    """Name the shard that makes a key, or made it last.

    Raises
    ------
    ConfigurationError
        If no plan of the run makes it as an output.
    """
    for plan in reversed(view.plans):
        try:
            number = list(plan.keys).index(key)
        except ValueError:
            continue
        for stage_number, stage in enumerate(plan.stages):
            for index, count in enumerate(stage.outputs):
                if number < count:
                    return ShardId(StageId(plan.number, stage_number), index)
                number -= count
    raise ConfigurationError(f"no plan of the run makes {key!r}")


def _job(view: RunView, known: KnownJobs, text: str) -> str:
    """Give the id of the job or child that a text means."""
    if is_job(known, text):
        return text
    if stage := named_stage(view, text):
        return job_of(known, stage)
    return child_of(known, _shard(view, text))


def _shard(view: RunView, text: str) -> ShardId:
    keys = (key for plan in view.plans for key in plan.keys)
    return named_shard(view, text) or making(view, find_key(text, keys))


def _kept(view: RunView, known: KnownJobs, what: str | None, lines: int) -> Iterator[LogEnd]:
    yield LogEnd(GONE if view.info.engine != "aws" else "here is what was kept about failures")
    stage = None if what is None else named_stage(view, what)
    if what is None or stage is not None:
        found = read_mishaps(view.run, view.progression(), stage=stage)
        for mishap in found:
            yield LogEnd(f"{mishap.shard}: {mishap.what}", mishap.lines[-lines:])
        if not found:
            whose = stage or f"run {view.run.name}"
            yield LogEnd(f"nothing to show: no task of {whose} raised, and no job was lost")
        return
    shard = _shard(view, what)
    yield from _obituary(view.run, shard, lines)


def _obituary(run: Run, shard: ShardId, lines: int) -> Iterator[LogEnd]:
    try:
        found = run.record.read_obituary(shard)
    except MissingObjectError:
        yield LogEnd(f"no log of {shard} was kept")
        return
    yield LogEnd(f"{shard}, job {found.job_id}: {found.text}", found.log[-lines:])
