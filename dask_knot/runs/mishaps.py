"""What went wrong in a run: errors that tasks raised, and children that left no manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.state import Progression, ShardCondition

#: So many are read: whoever has more has one cause for many of them.
MOST = 10


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that went wrong.

    Attributes
    ----------
    shard : ShardId
        Where.
    what : str
        In one line: the key and its exception, or how the child ended.
    lines : sequence of str
        The end of the traceback, or of the log of the child.
    job : str
        The id of the child, if it is known.
    """

    shard: ShardId
    what: str
    lines: Sequence[str] = ()
    job: str = ""


def read_mishaps(
    run: Run, there: Progression, most: int = MOST, stage: StageId | None = None
) -> list[Mishap]:
    """Read what went wrong and wasn't made good, the latest stages first; some requests for each.

    Of one stage, if it is given.

    Raises
    ------
    StoreError
        If the store can't be read; what is damaged or gone by itself is told as such.
    """
    found: list[Mishap] = []
    told: set[tuple[str, str]] = set()
    for shard in there.shards(ShardCondition.LOST, ShardCondition.ERRED):
        if len(found) >= most:
            break
        if stage not in (None, shard.stage):
            continue
        for mishap in _read(run, shard):
            if (mishap.what, mishap.job) not in told:  # an error is that of all that needed it
                told.add((mishap.what, mishap.job))
                found.append(mishap)
    return found[:most]


def _read(run: Run, shard: ShardId) -> Iterator[Mishap]:
    try:
        yield from _lost(run, shard)
        return
    except MissingObjectError:  # then a manifest tells of it
        pass
    except CorruptObjectError as error:
        yield Mishap(shard, str(error))
        return
    try:
        yield from _erred(run, shard)
    except (MissingObjectError, CorruptObjectError) as error:
        yield Mishap(shard, str(error))


def _lost(run: Run, shard: ShardId) -> Iterator[Mishap]:
    obituary = run.record.read_obituary(shard)
    what, _, _ = obituary.text.partition("\nThe last lines of its log:")
    yield Mishap(shard, f"{obituary.kind}: {what}", obituary.log, obituary.job_id)


def _erred(run: Run, shard: ShardId) -> Iterator[Mishap]:
    commit = run.read_manifest(ManifestId(shard, None))
    places = dict.fromkeys(o.place for o in commit.manifest.outputs if o.kind is Kind.ERRED)
    for place in places:
        data = commit.inside(place)
        failure = Failure.decode(run.read_value(place) if data is None else data)
        lines = failure.traceback_text.rstrip("\n").splitlines()
        yield Mishap(shard, f"{failure.key}: {failure.exception_text}", lines)
