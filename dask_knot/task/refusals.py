"""Refusals of features that need a live Dask worker: one error, that names feature and way."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from distributed import Reschedule

from dask_knot.errors import LiveWorkerError
from dask_knot.internals import is_client_search, is_local_start, is_unbound

_SUBMIT = (
    "Submit from the client instead: pass futures on as arguments, or build the whole graph with "
    "dask.delayed. dask.compute() in a task works, inside its own job"
)
_SHARE = (
    "Jobs can't wait for each other while they run: give each task a file or region of its "
    "own (such as whole chunks, with lock=False), or do conflicting work in one task"
)
_PASS = (
    "Return values from tasks, and pass their futures on as arguments: a task starts when all of "
    "its arguments are there"
)
_VALUE = (
    "Pass it as an argument of the task itself, alone or inside lists and dicts: the task then "
    "gets its value"
)
#: One whose futures came to a task within a value, such as one that was scattered.
COLLECTION = "A persisted collection"
_COLLECTION = (
    "Pass it as an argument of the task itself, alone or inside lists, dicts and objects, instead "
    "of scattering it: the task can then compute it"
)
_LOG = (
    "Print or log instead: cluster.logs(future) shows it, or return it with the value of the task"
)
#: By the name of a class or function of distributed.
INSTEAD = {
    "get_client": _SUBMIT,
    "worker_client": _SUBMIT,
    "default_client": _SUBMIT,
    "as_completed": _SUBMIT,
    "wait": _SUBMIT,
    "Lock": _SHARE,
    "MultiLock": _SHARE,
    "Semaphore": _SHARE,
    "Event": _PASS,
    "Queue": _PASS,
    "Variable": _PASS,
    "Future": _VALUE,
    COLLECTION: _COLLECTION,
    "Reschedule": "Raise another exception, and allow for it with retries=",
    "get_worker().log_event": _LOG,
}
_ELSE = (
    'Look at the page "Inside a job" of the documentation for what a task may use, or use a '
    "LocalCluster"
)


def refusal(feature: str) -> LiveWorkerError:
    """Make the error for a feature."""
    return LiveWorkerError(
        f"{feature} needs a live Dask worker, and a job isn't one: it runs its tasks and is never "
        f"connected to the client. {INSTEAD.get(feature, _ELSE)}"
    )


def asked_feature(otherwise: str) -> str:
    """Name what of distributed is being used by the code that called the caller.

    Parameters
    ----------
    otherwise : str
        The name if nothing of distributed stands between the caller and the user's own code.
    """
    return _outermost(_callers(sys._getframe(2)), otherwise)


def translated(error: Exception) -> Exception:
    """Give the clear error for one with which distributed says that it has no client or worker.

    Futures inside an object of the user's own reach a job without a client, and some functions look
    for the client of the process.
    """
    if isinstance(error, Reschedule):
        return _because(error, refusal("Reschedule"))
    frames = list(_raised_in(error))
    # Dask couldn't compute a graph in a job, as some of its keys are elsewhere.
    if frames and isinstance(error, ValueError) and is_local_start(frames[0]):
        return _because(error, refusal(COLLECTION))
    if not frames or not _is_distributed(frames[0]):
        return error
    name = frames[0].f_code.co_name
    unbound = is_unbound(frames[0])
    if not unbound and not is_client_search(frames[0]):
        return error
    return _because(error, refusal("Future" if unbound else _outermost(frames, name)))


def _because(error: Exception, clear: LiveWorkerError) -> LiveWorkerError:
    clear.__cause__ = error
    return clear


def _raised_in(error: Exception) -> Iterator[FrameType]:
    """Give the frames of an error, the innermost first."""
    entries = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry.tb_frame)
        entry = entry.tb_next
    return reversed(entries)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _outermost(frames: Iterable[FrameType], name: str) -> str:
    """Name the class or function of distributed that the code outside of it has called."""
    for frame in frames:
        if not _is_distributed(frame):
            break
        name = _owner(frame) or frame.f_code.co_name
    return name


def _is_distributed(frame: FrameType) -> bool:
    module: Any = frame.f_globals.get("__name__", "")
    return str(module).partition(".")[0] == "distributed"


def _owner(frame: FrameType) -> str:
    return type(frame.f_locals["self"]).__name__ if "self" in frame.f_locals else ""
