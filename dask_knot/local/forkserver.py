"""The warm server, which `boot` starts: one fork for each child.

It has one thread only, ever: a fork of a process with more threads can deadlock.
"""

from __future__ import annotations

import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from dask_knot.local.child import Inheritance, detach, run_child
from dask_knot.local.fitness import FIT, is_vetted, report_on
from dask_knot.local.groups import end_softly, exit_code, kill, kill_group
from dask_knot.local.origins import ElsewhereFinder
from dask_knot.local.spares import Spares
from dask_knot.local.warmth import Warmth
from dask_knot.local.wire import Message, Unpacker, pack, pipe_without_waiting

# Seconds between two looks at who our parent is. The end of the client also ends the control
# socket, unless a process that the client has forked still holds a copy of its end.
_PARENT_CHECK = 1.0
# When nothing has happened for so many seconds, an import delays nobody for long, though children
# run: without that a busy server would learn next to nothing, and each child would import anew.
_QUIET = 0.05
# No import takes so many seconds, unless it waits for something.
_PROBED = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A child that finds out whether a module may be imported here: when it is given up, and the
    pipe for what it finds."""

    pid: int
    module: str
    deadline: float
    report: int


class ForkServer:
    """Forks children, reports their end, and kills them all when the client is gone.

    Parameters
    ----------
    control
        The socket to the launcher in the client's process.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._environ = dict(os.environ)
        self._children: dict[int, str] = {}
        self._pids: dict[str, int] = {}
        self._unpacker = Unpacker()
        self._warmth = Warmth()
        self._lessons: dict[str, None] = {}
        self._probe: Probe | None = None
        self._fit: set[str] = set()
        self._is_calm = False
        self._lesson_rest = b""
        self._culprit: str | None = None
        self._spares = Spares()
        self._draining = False
        self._grace = 0.0
        self._leavings: list[str] = []
        self._wakeup, self._wakeup_end = pipe_without_waiting()
        self._lesson, self._lesson_end = pipe_without_waiting()
        self._lifeline, self._lifeline_end = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> NoReturn:
        """Do what the launcher asks for until its end of the socket closes."""
        gc.disable()
        # Ctrl-C in the terminal reaches every process: it is for the client to decide.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        for source in (self._control.fileno(), self._wakeup, self._lesson):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            ready = self._wait(self._patience())
            if os.getppid() != self._parent:
                self._die()
            if not ready:
                self._is_calm = True
            self._read(self._wakeup)
            self._note_lessons()
            self._hurry_probe()
            if self._reap() or not self._children:
                self._is_calm = True
            if self._control.fileno() in ready:
                self._is_calm = False
                self._obey()
            elif self._may_learn():
                self._learn()
            elif self._wants_spare():
                self._spares.make(self._inherited())
            self._spares.dismiss_overdue()
            if self._draining and not self._children:
                self._leavings.clear()  # the client goes on with another server
                self._die()

    def _may_learn(self) -> bool:
        """Tell whether there is something to import, and nobody waits: all exits are reported."""
        return self._is_calm and bool(self._lessons) and self._probe is None

    def _wants_spare(self) -> bool:
        is_ready = self._culprit is None and self._probe is None and not self._draining
        return is_ready and self._spares.is_wanted(len(self._children))

    def _patience(self) -> float:
        if self._may_learn() or self._wants_spare():
            return 0
        return _QUIET if self._lessons and self._probe is None else _PARENT_CHECK

    def _wait(self, timeout: float) -> set[int]:
        return {key.fd for key, _ in self._selector.select(timeout)}

    @staticmethod
    def _read(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return b""

    def _send(self, message: Message) -> None:
        try:
            self._control.sendall(pack(message))
        except OSError:
            self._die()

    def _obey(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._die()
        for message in self._unpacker.feed(data):
            getattr(self, f"_do_{message['do']}")(message)

    def _do_configure(self, message: Message) -> None:
        self._grace = message["grace"]
        self._spares.practice = message["practice"]
        self._leavings = message["leavings"]
        # For modules that look at it when they are imported.
        sys.argv[:] = message["argv"]
        sys.meta_path.insert(0, ElsewhereFinder(message["elsewhere"]))
        self._warmth = Warmth(message["forbidden"])
        # What every child needs at once; the rest when nobody waits for a start.
        self._import(message["preload"][:1])
        self._lessons.update(dict.fromkeys(message["preload"][1:]))
        self._send({"event": "ready"})

    def _do_start(self, message: Message) -> None:
        child_id = message["child"]
        if self._culprit is not None:
            self._send({"event": "refused", "child": child_id})
            return
        pid = self._spares.take(message) or self._fork(message)
        self._children[pid] = child_id
        self._pids[child_id] = pid
        self._spares.note_start(len(self._children))
        self._send({"event": "started", "child": child_id, "pid": pid})

    def _fork(self, message: Message) -> int:
        inherited = self._inherited()
        pid = os.fork()
        if pid == 0:
            run_child(message, inherited)
        return pid

    def _do_signal(self, message: Message) -> None:
        pid = self._pids.get(message["child"])
        if pid is not None:
            kill(pid, message["signal"])

    def _do_drain(self, message: Message) -> None:
        self._draining = True
        self._spares.dismiss()

    def _inherited(self) -> Inheritance:
        mine = (self._control.fileno(), self._wakeup, self._wakeup_end, self._lesson)
        others = (*self._spares.descriptors, self._lifeline_end, self._selector_descriptor())
        return Inheritance(
            server=os.getpid(),
            lessons=self._lesson_end,
            lifeline=self._lifeline,
            closing=tuple(descriptor for descriptor in (*mine, *others) if descriptor >= 0),
            environ=self._environ,
        )

    def _selector_descriptor(self) -> int:
        # Selectors that are only a call (select, poll) have no descriptor.
        descriptor: Any = getattr(self._selector, "fileno", lambda: -1)()
        return int(descriptor)

    def _reap(self) -> int:
        """Report every child that has ended; return how many there were."""
        reaped = 0
        while self._children or self._spares or self._probe is not None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            # A container ends with its first process: so does all that the child has started.
            kill_group(pid, signal.SIGKILL)
            if self._probe is not None and pid == self._probe.pid:
                self._end_probe(self._probe)
            child_id = self._children.pop(pid, None)
            if child_id is None:
                self._spares.note_end(pid)
                continue
            del self._pids[child_id]
            self._send({"event": "exited", "child": child_id, "code": exit_code(status)})
            reaped += 1
        return reaped

    def _note_lessons(self) -> None:
        lines = (self._lesson_rest + self._read(self._lesson)).split(b"\n")
        self._lesson_rest = lines.pop()
        self._lessons.update(dict.fromkeys(line.decode() for line in lines))

    def _learn(self) -> None:
        """Import one module that children would have to import themselves, if it may be shared."""
        name = next(filter(self._is_fit, self._lessons), None) or next(iter(self._lessons))
        del self._lessons[name]
        if not self._warmth.should_import(name):
            return
        if self._is_fit(name):
            self._spares.dismiss()
            self._send({"event": "learned", "modules": [name]})
            self._import([name])
        else:
            self._begin_probe(name)

    def _is_fit(self, name: str) -> bool:
        return is_vetted(name) or name in self._fit

    def _begin_probe(self, name: str) -> None:
        inherited = self._inherited()
        reading, writing = pipe_without_waiting()
        pid = os.fork()
        if pid == 0:
            detach(inherited)
            report_on(name, writing)
        os.close(writing)
        self._probe = Probe(pid, name, time.monotonic() + _PROBED, reading)

    def _hurry_probe(self) -> None:
        if self._probe is not None and time.monotonic() > self._probe.deadline:
            kill(self._probe.pid, signal.SIGKILL)

    def _end_probe(self, probe: Probe) -> None:
        """Note what a probe has found; it has written that if it came to an end itself."""
        self._probe = None
        words = self._read(probe.report).decode() or "its import ends the process, or never ends"
        os.close(probe.report)
        if words == FIT:
            self._fit.add(probe.module)
            self._lessons[probe.module] = None
        else:
            self._warmth.forbid(probe.module)
            self._send({"event": "unfit", "module": probe.module, "words": words})

    def _import(self, names: list[str]) -> None:
        self._culprit = self._culprit or self._warmth.take(names)
        if self._culprit is not None:
            self._send({"event": "unsafe", "module": self._culprit})

    def _die(self) -> NoReturn:
        if self._probe is not None:
            kill(self._probe.pid, signal.SIGKILL)
        for pid in (spares := self._spares.pids):
            kill(pid, signal.SIGKILL)
        left = end_softly(self._children, self._grace, self._wakeup).union(spares)
        for pid in left:
            kill(pid, signal.SIGKILL)
        for pid in left:  # whoever knows of our end relies on theirs
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        # A client that was killed can't, and it may be the memory of the machine.
        for folder in self._leavings:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    ForkServer(socket.socket(fileno=int(sys.argv[2]))).serve()
