"""The end of a job from outside: between SIGTERM and SIGKILL it commits what is done."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import NoReturn

from dask_knot.job.console import say
from dask_knot.job.parts import Parts

#: What a process ends with that SIGTERM ends.
TERMINATED = 128 + signal.SIGTERM


class Farewell:
    """Commits at SIGTERM what is done, and ends the process with the code that it would have had.

    The system's handler writes into a pipe, and a thread reads that: the main thread may be inside
    NumPy for minutes, and would run no handler of Python meanwhile. Where a task (or a plugin)
    has a handler of its own, that one decides about the process; what is done is committed all the
    same. Does nothing unless the main thread enters it: no other may set handlers.

    Parameters
    ----------
    parts : Parts
        What is done.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._is_bidden = self._is_over = False
        self._reading = self._writing = -1
        self._before = -1
        self._thread = threading.Thread(target=self._listen, name="dask-knot-farewell", daemon=True)

    def __enter__(self) -> Farewell:
        global _entered
        if threading.current_thread() is threading.main_thread():
            self._reading, self._writing = os.pipe()
            os.set_blocking(self._writing, False)
            self._thread.start()
            _entered = self
            self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, self._bid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._writing < 0:
            return
        if self._is_bidden:
            self._thread.join()  # it ends the process
        self._let_go()
        self._is_over = True
        self._tell(0)
        self._thread.join()
        os.close(self._reading)
        os.close(self._writing)

    def forget(self) -> None:
        """Leave SIGTERM to the process of which this one is a fork; here it is as it was."""
        self._let_go()
        os.close(self._reading)
        os.close(self._writing)

    def _let_go(self) -> None:
        global _entered
        _entered = None
        if self._is_ours():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        theirs = signal.set_wakeup_fd(self._before)
        if theirs not in (-1, self._writing):
            signal.set_wakeup_fd(theirs)

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._bid

    def _bid(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM in the main thread: before it takes what a task gives after that."""
        self._is_bidden = True
        self._parts.refuse()
        self._tell(number)  # a task may have put its own pipe in the place of ours

    def _tell(self, number: int) -> None:
        try:
            os.write(self._writing, bytes([number]))
        except BlockingIOError:  # the thread has plenty to read
            return

    def _listen(self) -> None:
        while not self._is_over:
            if signal.SIGTERM in os.read(self._reading, 1 << 12):
                if self._is_bidden or self._is_ours():
                    self._end()
                self._commit()

    def _end(self) -> NoReturn:
        self._is_bidden = True
        self._parts.refuse()
        try:
            self._commit()
        finally:
            os._exit(TERMINATED)

    def _commit(self) -> None:
        try:
            self._parts.save()
        except Exception as error:  # whoever sent the signal waits for no store
            say(f"SIGTERM, and what was done could not be committed: {error}")
        else:
            say("SIGTERM: what was done is committed")


_entered: Farewell | None = None


def _forget() -> None:
    if _entered is not None:
        _entered.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, where no job runs
    # Else the end of a process that a task has forked would be taken for ours.
    os.register_at_fork(after_in_child=_forget)
