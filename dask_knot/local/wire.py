"""The wire of launcher and fork server: JSON messages, each after its length in four bytes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]
_LENGTH = struct.Struct("!I")


def pack(message: Message) -> bytes:
    """Return the bytes of a message."""
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Puts the pieces that arrive together into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take the next piece and yield every message that is complete with it."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            message = json.loads(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield message


def pipe_without_waiting() -> tuple[int, int]:
    """Open a pipe of which neither end ever waits for the other one."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    return reading, writing
