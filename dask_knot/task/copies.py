"""Arguments that can be changed stand in a task as bytes, and are made anew for each of its runs.

The tasks of a shard run in one process, one after another or side by side. Dask sends each task by
itself, so that a task which changes an argument, a default or a global of the script changes its
own; here a pickle that all of them share would hand that on to the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pickle import PickleBuffer
from typing import Any

from dask.typing import Key
from distributed.protocol import pickle

from dask_knot.errors import NotLoadedError
from dask_knot.internals import GraphNode
from dask_knot.run.codec import Bytes
from dask_knot.task.buffers import PrivateCopies, copied
from dask_knot.task.context import keep_nested_work_here, unpickling

_NO_KEYS: frozenset[Key] = frozenset()


class OwnCopy(GraphNode):  # type: ignore[misc]
    """A value that is made from its pickle wherever it is read.

    Within one run of a task it is made once: what is one object there stays one.

    Parameters
    ----------
    key : Key or None
        Its name as a node of a graph; None inside of a task.
    parts : sequence of bytes-like
        Its pickle, then its buffers. Those that are read-only are shared by all that is made.
    is_fixed : bool
        It can't be changed: it is made once for all.

    Attributes
    ----------
    size : int
        Bytes of all parts.
    """

    def __init__(self, key: Key | None, parts: Sequence[Bytes], is_fixed: bool = False) -> None:
        self.key = key
        self._dependencies = _NO_KEYS
        self.size = sum(memoryview(part).nbytes for part in parts)
        self._body = parts[0]
        self._buffers = PrivateCopies(parts[1:]) if len(parts) > 1 else None
        self.is_fixed = is_fixed
        self._value: tuple[object, ...] = ()

    def __call__(self, values: object = ()) -> Any:
        """Give the value that the present run of a task has; outside of one, a new value."""
        made = _copies.made
        if made is None:
            return self.make()
        if id(self) not in made:
            made[id(self)] = self.make()
        return made[id(self)]

    def make(self) -> Any:
        """Make the value.

        Raises
        ------
        NotLoadedError
            If it can't be unpickled here.
        """
        if self._value:
            return self._value[0]
        try:
            with unpickling():
                value = pickle.loads(
                    self._body, buffers=self._buffers.take() if self._buffers else ()
                )
        except (Exception, SystemExit) as error:  # unpickling runs user code: anything may come out
            raise NotLoadedError(
                f"the arguments of a task could not be unpickled: {type(error).__name__}: "
                f"{error}. What they were made with must be installed where jobs run, too"
            ) from error
        if _copies.made is not None:
            keep_nested_work_here()  # it may have brought joblib
        if self.is_fixed:
            self._value = (value,)
        return value

    def substitute(self, subs: object, key: Key | None = None) -> OwnCopy:
        """Give it another name; it reads nothing."""
        if key is None or key == self.key:
            return self
        restore, (_, *rest) = self.__reduce__()
        return restore(key, *rest)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}: {len(self._body)} bytes of pickle>"

    # A node of Dask's compares by its tokens, for which the value would have to be made.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Callable[..., OwnCopy], tuple[Any, ...]]:
        buffers = self._buffers.copied() if self._buffers else ()
        sent = (PickleBuffer(copied(buffer)) for buffer in buffers)
        return _restore, (self.key, self.is_fixed, bytes(self._body), *sent)


class CopyPart(GraphNode):  # type: ignore[misc]
    """One of several values that are made together, as they hold the same objects."""

    def __init__(self, whole: OwnCopy, index: int) -> None:
        self.key = None
        self._dependencies = _NO_KEYS
        self._whole = whole
        self._index = index

    def __call__(self, values: object = ()) -> Any:
        """Give the value."""
        return self._whole()[self._index]

    def substitute(self, subs: object, key: Key | None = None) -> CopyPart:
        """Stay as it is: it reads nothing."""
        return self

    __eq__ = OwnCopy.__eq__
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[type[CopyPart], tuple[OwnCopy, int]]:
        return CopyPart, (self._whole, self._index)


class _Copies(threading.local):
    """The objects that were made for the run of a task in this thread."""

    made: dict[int, Any] | None = None


_copies = _Copies()


def open_copies() -> None:
    """Begin to run a task."""
    _copies.made = {}


def renew_copies() -> None:
    """Run a task once more: what it changed before is new again."""
    if _copies.made is not None:
        _copies.made = {}


def drop_copies() -> None:
    """Let go of what was made for a task."""
    _copies.made = None


def _restore(key: Key | None, is_fixed: bool, *parts: Bytes) -> OwnCopy:
    return OwnCopy(key, parts, is_fixed)
