"""How much tasks have to do, as far as their arguments show it: bytes, files, numbers.

No code of a user's class is run for it, and no file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from dask.typing import Key

from dask_knot.estimates.sampling import Extent
from dask_knot.graphs.weights import weigh
from dask_knot.internals import DataNode, GraphNode, NestedContainer, Task, TaskRef
from dask_knot.task.copies import OwnCopy
from dask_knot.tracking.graph import Graph

#: So many texts are looked up as files: where tasks name files, each names one or two.
MOST_FILES = 20_000
#: Nobody looks for a file behind a longer text.
LONGEST_PATH = 1024


def extents_of(graph: Graph) -> dict[Key, Extent]:
    """Say how much each task has to do, over all that it reads; of constants nothing is said."""
    tasks: Mapping[Key, Any] = graph.tasks
    files = _Files()
    found: dict[Key, Extent] = {}
    for start in tasks:
        stack = [start]
        while stack:
            key = stack[-1]
            node = tasks[key]
            left = [one for one in node.dependencies if one in tasks and one not in found]
            if left and key not in found:
                stack += left
                continue
            stack.pop()
            if key not in found:
                read = [found[one] for one in node.dependencies if one in found]
                found[key] = _sum([_own(node, files), *read])
    return {key: one for key, one in found.items() if key not in graph.literals}


def _sum(extents: Iterable[Extent]) -> Extent:
    nbytes, number = 0.0, 0.0
    for one in extents:
        nbytes += one.nbytes
        number += one.number
    return Extent(nbytes, number)


class _Files:
    """Looks up files, each text once."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def size(self, path: str) -> int:
        """Give the bytes of a file; 0 if there is none of that name."""
        if path not in self._sizes and len(self._sizes) < MOST_FILES:
            self._sizes[path] = _file_size(path)
        return self._sizes.get(path, 0)


def _file_size(path: str) -> int:
    with suppress(OSError, ValueError):
        return os.path.getsize(path) if os.path.isfile(path) else 0
    return 0


def _own(node: GraphNode, files: _Files) -> Extent:
    """Say it of the arguments of one task."""
    if isinstance(node, OwnCopy):
        return Extent(node.size)
    if isinstance(node, DataNode):
        return _extent([node.value], files)
    if isinstance(node, Task):
        return _extent(_arguments(node), files)
    return Extent()


def _arguments(node: Any) -> Iterator[Any]:
    for one in (*node.args, *node.kwargs.values()):
        if isinstance(one, NestedContainer):
            yield from _arguments(one)
        elif isinstance(one, DataNode):
            yield one.value
        elif not isinstance(one, TaskRef):
            yield one


def _extent(values: Iterable[Any], files: _Files) -> Extent:
    nbytes, number, has_number = 0.0, 0.0, False
    for value in values:
        kind = type(value)
        if isinstance(value, OwnCopy):
            nbytes += value.size
        elif kind in (str, bytes) or isinstance(value, PurePath):
            nbytes += _text(value, files)
        elif kind in (int, float):
            number, has_number = (number if has_number else float(value)), True
        elif isinstance(value, Task):
            inner = _own(value, files)
            nbytes, number = nbytes + inner.nbytes, number + inner.number
        else:
            nbytes += weigh(value)
    return Extent(nbytes, number if abs(number) < float("inf") else 0.0)


def _text(value: Any, files: _Files) -> float:
    """Give the bytes of a text, or of the file that it names."""
    text = value if isinstance(value, bytes) else str(value)
    if isinstance(text, str) and len(text) <= LONGEST_PATH and (size := files.size(text)):
        return size
    return len(text)
