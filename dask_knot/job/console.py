"""Keeps the last lines that tasks print, so that a failure can carry them."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO

#: How many writes are kept; enough for a traceback and some lines before it.
KEPT = 60
CHARACTERS = 4000
#: How a disk says that nothing can be written.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class TeeBytes(io.BufferedIOBase):
    """A stream of bytes that passes on what is written and remembers the end of it."""

    def __init__(self, stream: BinaryIO, kept: deque[bytes]) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, data: Any) -> int:
        """Write through, and remember what could be written."""
        count = memoryview(data).nbytes
        with _unless_full():
            count = self._stream.write(data)
        self._kept.append(memoryview(data).cast("B")[-CHARACTERS:].tobytes())
        return count

    def close(self) -> None:
        """Stay open, as the stream behind does, which others use; it may even be closed already."""

    def writable(self) -> bool:
        """Tell that this is a stream to write to."""
        return True

    def flush(self) -> None:
        """Flush the stream behind."""
        if not self._stream.closed:
            with _unless_full():
                self._stream.flush()

    def fileno(self) -> int:
        """Give the descriptor of the stream behind, for programs that a task starts."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Tell whether somebody sits before it."""
        return self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def _unless_full() -> Iterator[None]:
    """Let no task fail because its log is on a disk that is full at the moment."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise


def say(words: str) -> None:
    """Write a line into the log of the job, whatever tasks have done to its streams.

    They may have closed them, or put others or None in their place: none of that may keep a
    process from its end, or give it another exit code.
    """
    try:
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
    except Exception:  # whatever stands there
        with suppress(OSError):
            os.write(2, f"{words}\n".encode(errors="replace"))


class Tee(io.TextIOWrapper):
    """A text stream like the one behind it, which remembers the end of what is written.

    Whatever is written comes by its bytes, at once: what was written as text, and what wasn't.
    """

    def __init__(self, stream: TextIO, kept: deque[bytes]) -> None:
        stream.flush()
        self._behind = stream  # it closes what it holds when nobody holds it
        super().__init__(
            TeeBytes(stream.buffer, kept),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=bool(stream.line_buffering),
            write_through=True,
        )
        self.__dict__["mode"] = getattr(stream, "mode", "w")  # as Python does for its own

    def close(self) -> None:
        """Stay open: other tasks print as well."""

    def detach(self) -> Any:
        """Give the bytes behind, and stay attached: other tasks print as well."""
        self.flush()
        return self.buffer


class Printout:
    """All that was written to stdout and stderr since the last `clear`."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque(maxlen=KEPT)

    def install(self) -> None:
        """Put tees in the place of sys.stdout and sys.stderr."""
        sys.stdout = Tee(sys.stdout, self._kept)
        sys.stderr = Tee(sys.stderr, self._kept)

    def clear(self) -> None:
        """Forget, because another task begins."""
        self._kept.clear()

    def tail(self) -> str:
        """Give the last of it."""
        text = b"".join(self._kept).decode(errors="replace")
        return text[-CHARACTERS:].rstrip()
