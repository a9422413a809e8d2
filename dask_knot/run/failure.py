"""The failure of a task: its exception and traceback as bytes, for Dask and for the store."""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from traceback import format_exception, format_tb
from types import TracebackType
from typing import Any

import dask
import msgpack
from distributed.core import error_message
from distributed.protocol import pickle

from dask_knot.errors import CorruptObjectError, KilledTaskError, KnotError
from dask_knot.internals import TASK_FILE
from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.frames import shorten

#: Frames of a traceback that are kept at each of its ends: pickle gives up on the thousand of an
#: endless recursion, and Dask would then lose the type of the exception, and never end its future.
KEPT_FRAMES = 50
#: Lines of a traceback that is written into the log of a job.
SHORT = 18


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that was raised elsewhere.

    Attributes
    ----------
    exception, traceback : bytes
        Pickled as Dask pickles them; the traceback may be missing when it is too large.
    exception_text, traceback_text : str
        The same for people.
    key : str
        The task that raised it.
    lost : tuple of str
        If only something that is needed couldn't be read: the objects that are gone or damaged.
    """

    exception: bytes
    traceback: bytes | None
    exception_text: str
    traceback_text: str
    key: str
    lost: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Turn it into bytes that can be checked."""
        return b"".join(codec.frame([msgpack.packb(asdict(self))]))

    @classmethod
    def decode(cls, data: Bytes) -> Failure:
        """Read what `encode` wrote.

        Raises
        ------
        CorruptObjectError
            If the bytes aren't those that were written.
        """
        try:
            codec.check(data)
            fields = msgpack.unpackb(codec.unframe(data)[0])
            return cls(**{**fields, "lost": tuple(fields["lost"])})
        except (
            CorruptObjectError,
            ValueError,
            TypeError,
            LookupError,
            msgpack.UnpackException,
        ) as error:
            raise CorruptObjectError(f"these bytes are not a failure: {error!r}") from error

    def load(self) -> BaseException:
        """Build the exception again."""
        error: BaseException = pickle.loads(self.exception)
        return error

    def readable(self) -> Failure:
        """Put a KnotError with the same text in the place of what can't be unpickled here."""
        try:
            self.load()
        except Exception as error:  # unpickling runs user code: anything may come out
            text = f"{self.exception_text} (this exception can't be unpickled here: {error!r})"
            return replace(self, exception=fail(KnotError(text), self.key).exception)
        return self


def describe(error: BaseException, key: object, printed: str = "") -> Failure:
    """Describe an exception that is being handled.

    Parameters
    ----------
    error : BaseException
        To be called inside its ``except`` block, which is where the traceback is.
    key : Key
        The task that raised it.
    printed : str
        What the task wrote to stdout and stderr; it becomes a note of the exception where Python
        has them (3.11).
    """
    if not isinstance(error, Exception):  # SystemExit and the like: they would end a client, too
        text = (
            f"task {key!r} raised {error!r}, which would end the program: raise an Exception "
            "instead"
        )
        ending = KilledTaskError(text)
        ending.__cause__ = error
        return fail(ending, key)
    if printed and hasattr(error, "add_note"):
        error.add_note(f"The task had printed:\n{printed}")
    _shorten_tracebacks(error)
    if isinstance(error, KnotError):
        shorten(error)
        shown = error.__traceback__
    else:
        shown = _without_callers(sys.exc_info()[2])
        for one in filter(None, (error, error.__cause__)):
            one.__traceback__ = _without_callers(one.__traceback__)
    try:
        message: dict[str, Any] = dict(error_message(error))
    except Exception as unspeakable:  # its text is made by user code: that may raise as well
        message = dict(error_message(unspeakable))
    return Failure(
        message["exception"].data,
        _pickled(shown),
        message["exception_text"],
        "".join(format_tb(shown)),
        str(key),
    )


def in_short(error: BaseException) -> str:
    """Give a traceback in few lines: what explains the end of a job reads the end of its log."""
    lines = "".join(format_exception(type(error), error, error.__traceback__)).splitlines()
    if len(lines) > SHORT:
        lines = [lines[0], "  ...", *lines[2 - SHORT :]]
    return "\n".join(lines)


def _pickled(traceback: TracebackType | None) -> bytes | None:
    """Pickle what Dask would, without our callers; None if that can't be, or is too long."""
    try:
        data = bytes(pickle.dumps(traceback))
    except Exception:  # a module that user code made may have a name that can't be pickled
        return None
    return data if len(data) <= dask.config.get("distributed.admin.max-error-length") else None


def _without_callers(traceback: TracebackType | None) -> TracebackType | None:
    """Begin a traceback where a task does; what a job itself raised keeps all."""
    entry, last = traceback, ""
    while entry is not None and (last := entry.tb_frame.f_code.co_filename).startswith(_CALLERS):
        entry = entry.tb_next
    return traceback if entry is None and last.startswith(_ROOMS) else entry


_ROOMS = tuple(f"{Path(__file__).parents[1] / room}{os.sep}" for room in ("job", "run", "task"))
#: What calls tasks: jobs, Dask's tasks, and what runs coroutines.
_CALLERS = (*_ROOMS, TASK_FILE, f"{Path(str(asyncio.__file__)).parent}{os.sep}")


def fail(error: BaseException, key: object) -> Failure:
    """Describe an exception that was made but never raised."""
    # One error may stand for many keys: it must not grow.
    try:
        raise error.with_traceback(None)
    except type(error) as raised:
        return describe(raised, key)


#: Python has groups from 3.11 on.
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())


def _shorten_tracebacks(error: BaseException) -> None:
    """Leave the middle of long tracebacks out, those of what led to the exception as well."""
    seen: set[int] = set()
    found: list[BaseException | None] = [error]
    while found:
        one = found.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            found += [one.__cause__, one.__context__]
            found += one.exceptions if isinstance(one, _GROUP) else ()
            frames = list(_frames(one.__traceback__))
            if len(frames) > 2 * KEPT_FRAMES:
                frames[KEPT_FRAMES - 1].tb_next = frames[-KEPT_FRAMES]


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """Walk from where an exception was caught to where it was raised."""
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
