"""Frames of a traceback: the user's stay, those of dask_knot and of what lies beneath it go.

Only for errors whose message says it all, a KnotError's: of another exception nobody but its
author knows which line matters. Whoever wants the whole traceback empties Dask's own setting
``admin.traceback.shorten``, or lets the logger ``dask_knot`` log at DEBUG.
"""

from __future__ import annotations

import logging
import os
import sysconfig
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

import dask

from dask_knot.errors import KnotError

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

#: Exceptions of which only the user's own lines matter.
_SHORT = (KnotError, KeyboardInterrupt)
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_STANDARD = f"{sysconfig.get_paths()['stdlib']}{os.sep}"
_INSTALLED = f"{os.sep}site-packages{os.sep}"
#: Packages that dask_knot calls, or that call it.
_BENEATH = tuple(
    f"{_INSTALLED}{name}{os.sep}"
    for name in (
        *("dask", "distributed", "tornado", "cloudpickle", "msgpack", "tblib", "obstore"),
        *("boto3", "botocore", "s3transfer", "urllib3", "docker", "requests", "click"),
    )
)


def is_internal(file: str) -> bool:
    """Tell whether lines of a file are none that a user has written, or called by name."""
    if file.startswith((_OURS, "<frozen ")):
        return True
    if _INSTALLED in file:
        return any(name in file for name in _BENEATH)
    return file.startswith(_STANDARD)


def without_internal(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out frames that aren't the user's; None if none is."""
    if not dask.config.get("admin.traceback.shorten", True):
        return traceback
    kept = [one for one in _frames(traceback) if not is_internal(one.tb_frame.f_code.co_filename)]
    made: TracebackType | None = None
    for one in reversed(kept):
        made = TracebackType(made, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return made


def shorten(error: BaseException) -> None:
    """Leave out of a KnotError or Ctrl-C, and of what led to it, the frames that aren't the user's.

    What led to it without being named as its cause isn't shown if it has no others, nor is an
    earlier Ctrl-C. Other exceptions stay as they are.
    """
    if not isinstance(error, _SHORT):
        return
    is_short = dask.config.get("admin.traceback.shorten", True)
    logger.debug("an error that is shown to the user", exc_info=error)
    for one in _chain(error):
        one.__traceback__ = without_internal(one.__traceback__)
        if is_short and type(one.__cause__).__module__.startswith("obstore."):
            one.__cause__ = None  # pages for programmers; the message has what it says
        context = one.__context__
        if context is not None and (
            isinstance(context, KeyboardInterrupt)
            or without_internal(context.__traceback__) is None
        ):
            one.__suppress_context__ = True


def brief(call: Callable[P, R]) -> Callable[P, R]:
    """Let KnotErrors, and Ctrl-C, out of a function with the frames of who has called it only."""

    @wraps(call)
    def called(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return call(*arguments, **options)
        except _SHORT as error:
            shorten(error)
            raise error

    return called


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to what led to it."""
    seen: set[int] = set()
    found: list[BaseException | None] = [error]
    while found:
        one = found.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            found += [one.__cause__, one.__context__]


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
