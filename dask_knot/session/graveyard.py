"""Obituaries: sessions tell each other of children that ended without a manifest."""

from __future__ import annotations

import logging
from typing import NamedTuple

from dask_knot import errors
from dask_knot.errors import CorruptObjectError, JobError, KnotError, MissingObjectError
from dask_knot.run.archive import Archive
from dask_knot.run.names import ShardId
from dask_knot.run.obituary import Obituary
from dask_knot.session.outages import tolerate
from dask_knot.tracking.events import ChildFailed, Ending

logger = logging.getLogger(__name__)


class Graveyard(NamedTuple):
    """Writes and reads obituaries. A shard is never run again under its number, so they stay true.

    Attributes
    ----------
    record : Archive
        Where they are.
    """

    record: Archive

    def bury(self, failed: ChildFailed) -> None:
        """Write an obituary, unless there is one; of what was merely left, anybody sees as much."""
        if failed.ending is not Ending.LEFT:
            failure = "could not tell other sessions how a child ended"
            tolerate(failure, self.record.write_obituary, failed.shard, obituary_of(failed))

    def read(self, shard: ShardId, is_old: bool) -> ChildFailed | None:
        """Read an obituary.

        An old one is that of somebody else's attempt: no result, and the work is done again.
        """
        try:
            found = self.record.read_obituary(shard)
        except (MissingObjectError, CorruptObjectError) as error:
            logger.warning("the obituary of shard %s can't be read: %s", shard, error)
            return None
        ending = Ending.__members__.get(found.ending, Ending.HOST_LOST)
        return ChildFailed(shard, Ending.LEFT if is_old else ending, error_of(found))


def obituary_of(failed: ChildFailed) -> Obituary:
    """Write down how a child ended."""
    error = failed.error
    kind, text = type(error).__name__, str(error)
    if isinstance(error, JobError):
        log = tuple(error.log)
        return Obituary(failed.ending.name, kind, text, error.job_id, error.reason, log)
    return Obituary(failed.ending.name, kind, text)


def error_of(found: Obituary) -> KnotError:
    """Make the error that stands for what a child should have made."""
    kind = vars(errors).get(found.kind)
    if isinstance(kind, type) and issubclass(kind, JobError):
        return kind(found.text, found.job_id, found.reason, found.log)
    if isinstance(kind, type) and issubclass(kind, KnotError):
        return kind(found.text)
    return JobError(found.text, found.job_id, found.reason, found.log)
