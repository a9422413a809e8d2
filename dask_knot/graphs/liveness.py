"""Finds what only a live worker has in the tasks of a graph, before any of them runs.

Locks, queues, variables, events, semaphores and actors wait for others, or hold what others wait
for: a task that finds out in the midst of its work that there are none may leave everybody else
waiting. So a task is refused that has one anywhere: in lists, in objects, in what functions hold.
Two things are given what they need instead. Futures, of which persisted collections are made,
become values that their task reads. The lock that xarray takes for a file that it writes becomes
one of the machine, where all jobs run on one.

Nothing is searched object by object: what is pickled names its classes, and few graphs have one of
these names in them. The tasks of those are pickled once more, to see where.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import cloudpickle
from dask.core import reverse_dict
from dask.typing import Key
from distributed import Actor, Client, Event, Future, Lock, MultiLock, Queue, Semaphore, Variable

from dask_knot.internals import Alias, GraphNode, Task, TaskRef
from dask_knot.run.codec import Bytes
from dask_knot.task.futures import TaskWithFutures, refuse
from dask_knot.task.refusals import refusal

_CLASSES = (Actor, Client, Event, Lock, MultiLock, Queue, Semaphore, Variable)
_ALL = (*_CLASSES, Future)
#: What a pickle has of a class is the name of its module, and its own.
_TRACES = [
    [re.compile(re.escape(name).encode()) for name in (kind.__module__, kind.__name__)]
    for kind in _ALL
]
_FILES = "xarray.backends.file_manager"


def may_be_in(frames: Iterable[Bytes]) -> bool:
    """Tell whether a graph that is pickled may have something live in it; the first frame tells."""
    # Both: each graph of `client.map` is an object of the module that has futures as well.
    return any(
        all(one.search(frame) for one in both) for frame in [*frames][:1] for both in _TRACES
    )


def replace_live(
    tasks: Mapping[Key, GraphNode], wanted: Collection[Key], is_here: bool
) -> dict[Key, GraphNode]:
    """Give a graph whose tasks have nothing in them that only a live worker has.

    A wanted key that needs a task with something that a job can't have becomes one that says so,
    and what only such keys need is left out.

    Parameters
    ----------
    tasks : mapping of Key to GraphNode
        A culled graph.
    wanted : collection of Key
        What the client wants of it.
    is_here : bool
        Whether all jobs run on this machine.
    """
    refused: dict[Key, str] = {}
    found = dict(tasks)
    for key, node in _suspects(tasks):
        pickled = _LivePickler(node)
        if feature := pickled.lack(is_here):
            refused[key] = f"{refusal(feature)}. It was found in task {key!r}, which was not run"
        elif not pickled.is_clean:
            found[key] = pickled.task(node)
    return _without(refused, found, wanted) if refused else found


def _suspects(tasks: Mapping[Key, GraphNode]) -> Iterator[tuple[Key, GraphNode]]:
    """Give those tasks one of which has something live in it.

    Many are pickled together: what they share, all of them or a group, is gone through once.
    """
    looked_at = [(key, node) for key, node in tasks.items() if type(node) is not Alias]
    if _are_clean(looked_at):
        return
    size = math.isqrt(len(looked_at)) + 1
    for start in range(0, len(looked_at), size):
        group = looked_at[start : start + size]
        if not _are_clean(group):
            yield from group


def _are_clean(group: Iterable[tuple[Key, GraphNode]]) -> bool:
    pickled = _LivePickler([node for _, node in group])
    return pickled.is_whole and pickled.is_clean


def _without(
    refused: dict[Key, str], tasks: Mapping[Key, GraphNode], wanted: Collection[Key]
) -> dict[Key, GraphNode]:
    readers = reverse_dict({key: node.dependencies for key, node in tasks.items()})
    left = list(refused)
    while left:
        key = left.pop()
        new = [reader for reader in readers.get(key, ()) if reader not in refused]
        refused |= dict.fromkeys(new, refused[key])
        left += new
    needed = [key for key in wanted if key in tasks and key not in refused]
    found = {key: Task(key, refuse, refused[key]) for key in wanted if key in refused}
    while needed:
        key = needed.pop()
        if key in tasks and key not in found:
            found[key] = tasks[key]
            needed += tasks[key].dependencies
    return {key: found[key] for key in tasks if key in found}


class _LivePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Finds live objects in one task or many: its pickle has a name in the place of each.

    Attributes
    ----------
    futures, locks : dict
        Keys and names of those that are there, each once.
    files : set of str
        Paths that xarray opens.
    refused : list of str
        Classes of what can't be replaced.
    is_whole : bool
        All of it could be pickled.
    """

    def __init__(self, value: object) -> None:
        self._file = io.BytesIO()
        self._buffers: list[Any] = []
        super().__init__(self._file, protocol=5, buffer_callback=self._buffers.append)
        self.futures: dict[Key, None] = {}
        self.locks: dict[str, None] = {}
        self.files: set[str] = set()
        self.refused: list[str] = []
        self.is_whole = False
        try:
            self.dump(value)
            self.is_whole = True
        except Exception:  # it is refused later on, with the name of its task
            self.futures, self.locks = {}, {}

    @property
    def is_clean(self) -> bool:
        return not (self.futures or self.locks or self.refused)

    def lack(self, is_here: bool) -> str:
        """Name what a job can't have of it; nothing if it can have all."""
        if self.refused:
            return self.refused[0]
        return "" if is_here and self.files.issuperset(self.locks) else "Lock" * bool(self.locks)

    def task(self, node: GraphNode) -> Task:
        """Make the task that does what a node does, and reads what its futures stand for."""
        # Copies: they are pickled once more, and the collector of Python 3.11 crashes on views of
        # views of memory in a circle.
        views = [buffer.raw() for buffer in self._buffers]
        parts: list[Bytes] = [self._file.getvalue()]
        parts += [bytes(view) if view.readonly else bytearray(view) for view in views]
        reads, futures = list(node.dependencies), list(self.futures)
        own = TaskWithFutures(parts, reads, futures)
        return Task(node.key, own, *map(TaskRef, [*reads, *futures]))

    def persistent_id(self, value: Any) -> tuple[str, Any] | None:
        """Note what is live, and keep it out of the pickle."""
        what = _classify(type(value))
        if not what:
            return None
        if what == "future":
            self.futures[value.key] = None
            return what, value.key
        if what == "lock":
            self.locks[value.name] = None
            return what, value.name
        if what == "file":
            self.files.update(map(str, getattr(value, "_args", ())))
            return None
        self.refused.append(what)
        return "refused", what


def _classify(kind: type) -> str:
    """Tell what to do with an object of a type; most often nothing, and that is told at once."""
    if not issubclass(kind, _ALL):
        return "file" if getattr(kind, "__module__", None) == _FILES else ""
    if issubclass(kind, Actor):  # it is a future in Dask's eyes
        return "Actor"
    if issubclass(kind, Future):
        return "future"
    if kind is Lock:
        return "lock"
    return str(next(one.__name__ for one in _CLASSES if issubclass(kind, one)))
