"""The one line that moves, at the bottom of a terminal or in a notebook, beside what others print.

All clusters of a process share it. It stands on standard error, and is there only if that is a
terminal in whose foreground this process is, or in a notebook; elsewhere nothing is ever written.

Others write to the same terminal, from any thread, through `sys.stdout` or `sys.stderr` or what
holds these (handlers of `logging`, bars). So both have another `write` while a cluster is open:
it takes the line away first, and notes whether the text ends its line. While it doesn't (a bar that
moves, a prompt), the terminal is somebody else's, and the line stays away.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from importlib import import_module
from typing import Any

from distributed.utils import is_kernel

ERASE = "\r\x1b[K"
#: What moves the cursor or colors text, but is no text: bars end with it.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r+$")


class Terminal:
    """Shows one line of text, of several users, and lets others print.

    Parameters
    ----------
    is_ours : callable
        Tells of a stream that is a terminal whether this process may write there now.
    """

    def __init__(self, is_ours: Callable[[Any], bool] | None = None) -> None:
        self._is_ours = is_ours or _is_in_foreground
        # A signal may print in the midst of a print.
        self._lock = threading.RLock()
        self._users: set[object] = set()
        self._texts: dict[object, str] = {}
        self._hooked: list[Any] = []
        self._stream: Any = None
        self._write: Callable[[str], object] = len  # that of the stream
        self._standing = ""
        self._is_free = True
        self._display: Any = None

    def open(self, user: object) -> None:
        """Begin to notice what others print, for a user who may show something until `close`."""
        with self._lock:
            self._users.add(user)
            if not self._hooked:
                self._hook()

    def close(self, user: object) -> None:
        """Take a user's text away, and leave the streams as they were when it is the last one."""
        with self._lock:
            self.show(user, "")
            self._users.discard(user)
            if not self._users:
                self._unhook()

    def show(self, user: object, text: str) -> None:
        """Show the text of a user instead of what it was; an empty one takes it away."""
        with self._lock:
            if user in self._users:  # else it was closed meanwhile
                self._texts.pop(user, None)
                self._texts |= {user: text} if text else {}
                self._draw()

    def leave(self, user: object, text: str) -> None:
        """Let a last text of a user stay as a line of its own, above what else is printed."""
        with self._lock:
            if user not in self._users:
                return
            self._texts.pop(user, None)
            if is_kernel():
                self._draw_in_notebook(text)
                self._display = None  # what comes has another one
            elif self._can_draw():
                self._erase()
                self._put(f"{text}\n")
            self._draw()

    @property
    def columns(self) -> int:
        """How wide the line may be."""
        return _columns(self._stream) if self._stream else 80

    @property
    def is_plain(self) -> bool:
        """Whether only ASCII can be written."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return not encoding.lower().replace("-", "").startswith("utf")

    def abandon(self) -> None:
        """Leave the line to the process of which this is a fork; its lock may be held there."""
        self._unhook()
        self.__init__(self._is_ours)  # type: ignore[misc]

    def _draw(self) -> None:
        text = "  |  ".join(self._texts.values())
        if is_kernel():
            self._draw_in_notebook(text)
        elif text and self._can_draw():
            self._standing = text[: max(1, _columns(self._stream) - 1)]
            self._put(ERASE + self._standing)
        else:
            self._erase()

    def _can_draw(self) -> bool:
        return bool(self._is_free and self._stream and self._is_ours(self._stream))

    def _erase(self) -> None:
        if self._standing:
            self._standing = ""
            self._put(ERASE)

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, or the stream closed
            self._write(text)
            self._stream.flush()

    def _draw_in_notebook(self, text: str) -> None:
        if not text and self._display is None:
            return
        # Outside of any context an output goes to the cell that runs.
        shown = {"text/plain": text}
        if self._display is None:
            display = import_module("IPython.display").display
            self._display = Context().run(partial(display, shown, raw=True, display_id=True))
        else:
            Context().run(partial(self._display.update, shown, raw=True))
        if not text:
            self._display = None  # the next one is for another cell

    def _hook(self) -> None:
        if not _is_terminal(sys.stderr):
            return
        self._stream, self._write, self._is_free = sys.stderr, sys.stderr.write, True
        try:
            for stream in {id(one): one for one in (sys.stderr, sys.stdout)}.values():
                if _is_terminal(stream):
                    hooked: Any = stream
                    hooked.write = partial(self._written, stream.write)
                    self._hooked.append(hooked)
        except AttributeError:  # one that can't be watched, as other programs put in their place
            self._unhook()

    def _unhook(self) -> None:
        for stream in self._hooked:
            with suppress(AttributeError):  # somebody else has put it back
                del stream.write
        self._hooked.clear()
        self._stream = None

    def _written(self, write: Callable[[str], int], text: str) -> int:
        """Write what somebody prints, with the line out of its way."""
        with self._lock:
            self._erase()
            if seen := CONTROL.sub("", text):
                self._is_free = seen.endswith("\n")
            return write(text)


def is_awaited() -> bool:
    """Tell whether the main thread waits in `threading`, as in `result()`, or runs an event loop.

    Who computes, prints, or types at a prompt needs no line, and would be disturbed by it.
    """
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    where = frame.f_globals.get("__name__") if frame else None
    # Prompts of IPython and of notebooks are event loops.
    is_prompt = hasattr(sys, "ps1") or is_kernel()
    return where == "threading" or (where == "selectors" and not is_prompt)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # none, or closed
        return False


def _is_in_foreground(stream: Any) -> bool:
    if not hasattr(os, "tcgetpgrp"):
        return True
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _columns(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


#: One for the process, as the terminal is.
terminal = Terminal()
if hasattr(os, "register_at_fork"):  # Windows has no forks, nor processes in the background
    os.register_at_fork(after_in_child=terminal.abandon)
