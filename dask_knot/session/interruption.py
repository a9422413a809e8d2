"""What Ctrl-C has made of the work: one line for whoever pressed it, when a session is left."""

from __future__ import annotations

import sys

from dask_knot.settings.settings import Settings


def is_interruption() -> bool:
    """Tell whether Ctrl-C is being handled, so that what is closed now is closed because of it."""
    return issubclass(sys.exc_info()[0] or Exception, KeyboardInterrupt)


def has_ended_script() -> bool:
    """Tell whether Ctrl-C has ended the script; at a prompt it ends no more than what it hits."""
    return not hasattr(sys, "ps1") and getattr(sys, "last_type", None) is KeyboardInterrupt


def words(settings: Settings, jobs_stay: bool) -> str:
    """Say what became of the jobs, and how to come back to a named run.

    Parameters
    ----------
    settings : Settings
        Those of the session.
    jobs_stay : bool
        Whether its jobs go on without it.
    """
    name = settings.name
    if not settings.is_named:
        return "interrupted: all jobs are stopped, and their results deleted (the run has no name)"
    if jobs_stay:
        return (
            f"interrupted: the jobs of run {name!r} go on. Open it again by its name to wait for "
            f"them; `dask knot cancel {name}` stops them"
        )
    return (
        f"interrupted: the jobs of run {name!r} are stopped, and what they finished is kept. "
        "Run the same again under this name to compute only the rest"
    )
