"""Exit codes of the program inside a job, for Batch and for whoever explains them."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from dask_knot.errors import (
    InternalError,
    KnotError,
    NotLoadedError,
    PluginError,
    VersionsError,
)

#: The store could not be read or written: nothing is lost, another attempt may succeed.
NOT_RUN = 75  # EX_TEMPFAIL of sysexits.h
#: The tasks could not be unpickled: something that they need isn't installed where jobs run.
NOT_LOADED = 78  # EX_CONFIG of sysexits.h
#: The client has other versions than the image of the job: no task was looked at.
OTHER_VERSIONS = 76  # EX_PROTOCOL of sysexits.h
#: A worker plugin could not set the job up: no task was looked at.
NOT_SET_UP = 70  # EX_SOFTWARE of sysexits.h
#: The program in the job raised what it should never raise: a mistake of ours.
MISTAKE = 79
#: A process that ran tasks for the job was killed, and one of them may have done it.
TASK_KILLED = 1

_CODES = (
    (VersionsError, OTHER_VERSIONS),
    (NotLoadedError, NOT_LOADED),
    (PluginError, NOT_SET_UP),
    (InternalError, MISTAKE),
    (KnotError, NOT_RUN),
    (BrokenExecutor, TASK_KILLED),
)


def exit_code(error: BaseException) -> int:
    """Give the exit code that says why a shard could not be run."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), MISTAKE)


#: Not of a job: of a client whose work was estimated instead of computed.
ESTIMATED = 64
#: The variable that names a file for the numbers of the estimate, where somebody goes on with them.
ESTIMATED_IN = "KNOT_ESTIMATED_IN"
