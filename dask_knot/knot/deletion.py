"""The consent to delete a knot: others may hold it, and people are asked."""

from __future__ import annotations

import sys
from dataclasses import replace

from dask.utils import format_bytes

from dask_knot.errors import ConfigurationError
from dask_knot.plural import many
from dask_knot.run.names import session_of
from dask_knot.runs.ending import holders
from dask_knot.runs.jobs import KnownJobs
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import read_holders
from dask_knot.session.hooks import nobody
from dask_knot.session.session import Session


def may_delete(session: Session) -> bool:
    """Ask, on a terminal, whether the run of a session may be deleted.

    Raises
    ------
    ConfigurationError
        If others have it open.
    """
    run = session.run
    view = read_holders(run, run.record.read_info(), Observer(nobody))
    own = {session_of(session.first_number)}
    others = replace(view, marks=replace(view.marks, alive=view.marks.alive - own))
    if found := holders(others, KnownJobs({})):
        raise ConfigurationError(
            f"the knot {run.name!r} is in use: {found}. clobber(yes=True) deletes it anyway"
        )
    if not sys.stdin or not sys.stdin.isatty():
        return True
    size = f"{many('object', view.survey.objects)}, {format_bytes(view.survey.nbytes)}"
    question = f"Stop all jobs of {run.name} and delete it: {size}? [y/N] "
    return input(question).strip().lower() in ("y", "yes")
