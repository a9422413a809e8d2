"""A task that has in it what only a live worker has: futures, and the locks of files."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pickle import PickleBuffer
from typing import Any, ClassVar, NoReturn
from weakref import WeakValueDictionary

from dask.typing import Key

from dask_knot.errors import LiveWorkerError
from dask_knot.internals import DataNode
from dask_knot.run.codec import Bytes
from dask_knot.task.refusals import refusal

#: Seconds between two looks at a lock that another process has, when there is an end to waiting.
LOOK_AGAIN = 0.02


class FutureValue(DataNode):  # type: ignore[misc]
    """A node that takes the place of a future in a job, in the graphs that it is part of.

    Persisted collections are made of such. Other uses of a future are refused, as they are for
    those that a task comes by in another way.
    """

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python's own protocols ask for
            raise AttributeError(name)
        raise refusal("Future")


def refuse(message: str) -> NoReturn:
    """Stand for a task that has in it what a job can't have."""
    raise LiveWorkerError(message)


class TaskWithFutures:
    """Calls a task that was pickled apart, with the values of the futures in it.

    Parameters
    ----------
    parts : sequence of bytes-like
        The task's pickle and its buffers.
    reads : sequence of Key
        What the task reads.
    futures : sequence of Key
        The futures in it.
    """

    def __init__(self, parts: Sequence[Bytes], reads: Sequence[Key], futures: Sequence[Key]):
        self._parts, self._reads, self._futures = parts, reads, futures

    def __call__(self, *values: Any) -> Any:
        """Call the task with what it reads, then what its futures stand for."""
        reads = dict(zip(self._reads, values, strict=False))
        known = dict(zip(self._futures, values[len(self._reads) :], strict=True))
        body, *buffers = self._parts
        return _Unpickler(bytes(body), buffers, known).load()(reads)

    def __reduce__(self) -> tuple[Any, ...]:
        body, *buffers = self._parts
        apart = [PickleBuffer(buffer) for buffer in buffers]
        return _restore, (bytes(body), apart, self._reads, self._futures)


def _restore(
    body: bytes, apart: list[Any], reads: Sequence[Key], futures: Sequence[Key]
) -> TaskWithFutures:
    return TaskWithFutures([body, *apart], reads, futures)


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: bytes, buffers: Sequence[Bytes], known: Mapping[Key, Any]) -> None:
        super().__init__(io.BytesIO(body), buffers=buffers)
        self._known = known

    def persistent_load(self, pid: Any) -> Any:
        kind, name = pid
        return FileLock(name) if kind == "lock" else FutureValue(name, self._known[name])


class FileLock:
    """The lock of a file, for all threads and jobs of this machine, as `distributed.Lock` is used.

    The kernel lets it go when its process ends. It is that of a hidden file beside the file, as
    libraries lock the files themselves; whoever has it removes that file again.

    Parameters
    ----------
    name : str
        The path of the file.
    """

    _threads: ClassVar[WeakValueDictionary[str, Any]] = WeakValueDictionary()
    _making: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptor = -1
        with FileLock._making:
            self._thread = FileLock._threads.setdefault(name, threading.Lock())

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; tell whether that was possible within `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        if not self._thread.acquire(blocking, -1 if timeout is None or not blocking else timeout):
            return False
        try:
            self._descriptor = self._lock_file(blocking, end)
        finally:
            if self._descriptor < 0:
                self._thread.release()
        return self._descriptor >= 0

    def release(self) -> None:
        """Give the lock back."""
        import fcntl  # Windows has none, and runs no jobs

        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):  # first: who waits for this file then makes another
            os.unlink(self._path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process that was forked meanwhile has it, too
        os.close(descriptor)
        self._thread.release()

    def locked(self) -> bool:
        """Tell whether a thread of this process has the lock."""
        return bool(self._thread.locked())

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def __reduce__(self) -> tuple[type[FileLock], tuple[str]]:
        return FileLock, (self.name,)

    @property
    def _path(self) -> str:
        """The file of the lock: for a name in no folder, among files that are temporary."""
        folder, name = os.path.split(os.path.abspath(self.name))
        if not os.path.isdir(folder):
            folder, name = tempfile.gettempdir(), hashlib.sha256(self.name.encode()).hexdigest()
        return os.path.join(folder, f".{name[-200:]}.knot-lock")

    def _lock_file(self, blocking: bool, end: float | None) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                is_taken = _take(descriptor, blocking, end)
                if is_taken and _is_at(descriptor, self._path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if not is_taken:
                return -1


def _take(descriptor: int, blocking: bool, end: float | None) -> bool:
    import fcntl

    if blocking and end is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not blocking or (end is not None and time.monotonic() > end):
                return False
            time.sleep(LOOK_AGAIN)
        else:
            return True


def _is_at(descriptor: int, path: str) -> bool:
    """Tell whether a file is still there: its last owner has removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
