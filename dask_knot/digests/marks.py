"""Marks the code of tasks by key prefix: a digest for durations, which costs next to nothing.

Nothing depends on it but how a plan is cut: so neither versions nor data nor all that a function
may reach are looked at, but the code itself, and the user's own functions that it calls by name.
Tasks of a prefix whose mark is another one are not known any more.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from dask.typing import Key
from dask.utils import key_split

from dask_knot.digests.plain import digest
from dask_knot.digests.tasks import called
from dask_knot.internals import GraphNode, Task

#: Functions behind one task that are looked at, at most.
MOST = 100
#: Functions of one prefix that are looked at, at most: each task may have one of its own.
MOST_OF_PREFIX = 20
#: Codes that are remembered: what tasks call is unpickled anew for each graph, and equal then.
_REMEMBERED = 10_000
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


class CodeMarker:
    """Marks the code of a session's graphs. For several threads.

    Attributes
    ----------
    codes : dict of str to bytes
        What the tasks of a prefix were marked with last.
    """

    def __init__(self) -> None:
        self.codes: dict[str, bytes] = {}
        self._labels: dict[CodeType, bytes] = {}
        paths = sysconfig.get_paths()
        names = ("stdlib", "platstdlib", "purelib", "platlib")
        self._installed = tuple({paths[name] for name in names})

    def of_graph(self, tasks: Mapping[Key, GraphNode]) -> dict[str, bytes]:
        """Give the marks of what the tasks of a graph call, by prefix.

        Of tasks that share a name, as those of a layer do, the first one stands for all.
        """
        layers: set[Any] = set()
        seen: dict[str, set[int]] = {}
        marks: dict[str, set[bytes]] = {}
        for key, node in tasks.items():
            name: Any = key
            if type(key) is tuple:
                name = key[0]
                if name in layers:
                    continue
                layers.add(name)
            if not isinstance(node, Task):
                continue
            prefix = key_split(name)
            functions = seen.get(prefix)
            if functions is None:
                functions, marks[prefix] = seen.setdefault(prefix, set()), set()
            # What differs between tasks of one function and one prefix is seldom its code.
            if id(node.func) not in functions and len(functions) < MOST_OF_PREFIX:
                functions.add(id(node.func))
                marks[prefix].add(self._mark(node))
        codes = {prefix: digest(b"".join(sorted(found))) for prefix, found in marks.items()}
        self.codes.update(codes)
        return codes

    def _mark(self, node: Task) -> bytes:
        left: list[Any] = [*called(node)]
        given = (*node.args, *(node.kwargs or {}).values())
        left += [one for one in given if callable(one) and not isinstance(one, GraphNode)]
        left += [one.func for one in given if isinstance(one, Task)]
        seen: dict[int, Any] = {}  # the values are kept, so that no id is another one's
        # Of functions that call each other it counts which one comes first.
        first = sorted(self._opened(value)[0] for value in left)
        labels = []
        while left and len(seen) < MOST:
            value = left.pop()
            if id(value) not in seen:
                seen[id(value)] = value
                label, parts = self._opened(value)
                labels.append(label)
                left += parts
        return digest(b"\0".join([*first, b"", *sorted(labels)]))

    def _opened(self, value: Any) -> tuple[bytes, list[Any]]:
        """Say what a callable is by itself, and what else it calls."""
        if isinstance(value, FunctionType):
            return self._label(value), [*self._used(value)]
        if isinstance(value, partial):
            given = [value.func, *value.args, *value.keywords.values()]
            return b"partial", [one for one in given if callable(one)]
        if isinstance(value, MethodType):
            return _name(type(value.__self__)), [value.__func__]
        if isinstance(value, type) or not isinstance(getattr(value, "__name__", None), str):
            kind = value if isinstance(value, type) else type(value)
            own = vars(kind) if self._is_own(_file(vars(kind).get("__init__"))) else {}
            call = getattr(kind, "__call__", None)  # noqa: B004
            parts = [one for one in (*own.values(), call) if isinstance(one, FunctionType)]
            return _name(kind), parts
        return _name(value), []

    def _label(self, function: FunctionType) -> bytes:
        code = function.__code__
        label = self._labels.get(code)
        if label is None:
            label = digest(b"".join(_written(code, function.__doc__)))
            if len(self._labels) < _REMEMBERED:
                self._labels[code] = label
        return _name(function) + label

    def _used(self, function: FunctionType) -> Iterator[Any]:
        """Give the functions of the user that a function names or has from around it."""
        known = function.__globals__
        for cell in function.__closure__ or ():
            try:
                if callable(cell.cell_contents):
                    yield cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
        if not self._is_own(function.__code__.co_filename):
            return
        for name in _names(function.__code__):
            value = known.get(name)
            if isinstance(value, FunctionType) and self._is_own(value.__code__.co_filename):
                yield value

    def _is_own(self, file: str | None) -> bool:
        return file is not None and not file.startswith(self._installed)


def _name(value: Any) -> bytes:
    """Name what can be called; a function of a script has no module of its own."""
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    return f"{module}:{name or getattr(value, '__name__', '')}".encode(errors="surrogatepass")


def _file(function: Any) -> str | None:
    return function.__code__.co_filename if isinstance(function, FunctionType) else None


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _written(code: CodeType, doc: str | None = None) -> Iterator[bytes]:
    """Write code without its place: no file, no line, and not its docstring."""
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode(errors="surrogatepass")
    for number, constant in enumerate(code.co_consts):
        if isinstance(constant, CodeType):
            yield from _written(constant)
        elif not (number == 0 and constant == doc and isinstance(doc, str)):
            yield _constant(constant)


def _constant(value: Any) -> bytes:
    if isinstance(value, tuple):
        return b"(" + b",".join(map(_constant, value)) + b")"
    if isinstance(value, frozenset):  # its order is another one in each process
        return b"{" + b",".join(sorted(map(_constant, value))) + b"}"
    return repr(value).encode(errors="surrogatepass") if isinstance(value, _PLAIN) else b"?"
