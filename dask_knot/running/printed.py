"""Keeps the last lines that tasks print, so that a failure can carry them."""

from __future__ import annotations

import io
import sys
from collections import deque
from typing import BinaryIO, TextIO

#: How many writes are kept; enough for a traceback and some lines before it.
KEPT = 60
CHARACTERS = 4000


class Tee(io.TextIOBase):
    """A text stream that passes on what is written and remembers the end of it."""

    def __init__(self, stream: TextIO, kept: deque[str]) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str) -> int:
        """Write through, and remember."""
        self._kept.append(text[-CHARACTERS:])
        return self._stream.write(text)

    @property
    def buffer(self) -> BinaryIO:
        """The bytes behind; what is written there is passed on only."""
        return self._stream.buffer

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()

    def close(self) -> None:
        """Stay open, as the stream behind does, which others use; it may even be closed already."""

    def fileno(self) -> int:
        """Give the descriptor of the stream behind, for programs that a task starts."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Tell that this is a stream to write to."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind."""
        return self._stream.encoding


class Printed:
    """What was written to stdout and stderr since the last `clear`."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=KEPT)

    def install(self) -> None:
        """Put tees in the place of sys.stdout and sys.stderr."""
        sys.stdout = Tee(sys.stdout, self._kept)
        sys.stderr = Tee(sys.stderr, self._kept)

    def clear(self) -> None:
        """Forget, because another task begins."""
        self._kept.clear()

    def tail(self) -> str:
        """Give the last of it."""
        return "".join(self._kept)[-CHARACTERS:].rstrip()
