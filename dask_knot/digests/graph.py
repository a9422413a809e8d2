"""Digests the tasks of a graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dask.typing import Key
from dask.utils import key_split

from dask_knot.digests import impurity
from dask_knot.digests.code import CodeReader
from dask_knot.digests.environment import Environment
from dask_knot.digests.files import FileMarks
from dask_knot.digests.plain import PlainValues, digest
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.values import ObjectReader
from dask_knot.digests.walk import Walk
from dask_knot.internals import EXECUTE_SUBGRAPH, Alias, DataNode, GraphNode, Task, TaskRef

#: Digests of dependencies, by key; None for one that has none.
_Known = dict[Key, bytes | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why tasks have no digest.

    Attributes
    ----------
    key : Key
        The first of them.
    count : int
        How many there are.
    """

    key: Key
    count: int


@dataclass(frozen=True, slots=True)
class GraphDigests:
    """The digests of a graph's tasks.

    Attributes
    ----------
    digests : mapping of Key to bytes
        16 bytes each; none of what can't be digested, must run anew, or reads such.
    codes : mapping of str to bytes
        The digest of what is called, by key prefix.
    refusals : mapping of str to Refusal
        Why some have none, but for those that only read such.
    """

    digests: Mapping[Key, bytes]
    codes: Mapping[str, bytes]
    refusals: Mapping[str, Refusal] = field(default_factory=dict)


class Digester:
    """Digests the graphs and values of a session.

    Parameters
    ----------
    image : str
        Of the jobs, if the user named one himself.
    files : FileMarks, optional
        Looks at files.
    """

    def __init__(self, image: str = "", files: FileMarks | None = None) -> None:
        self._environment = Environment(image)
        self._code = CodeReader(self._environment)
        self._values = ObjectReader(self._code)
        self._files = FileMarks() if files is None else files

    def of_value(self, value: Any) -> bytes | None:
        """Give the digest of a value; None if it has none."""
        try:
            with self._files.snapshot():
                return _of_data(self._walk(PlainValues(self._files)), value)
        except UndigestibleError:
            return None

    def of_graph(
        self,
        tasks: Mapping[Key, GraphNode],
        outside: Callable[[Key], bytes | None],
        fresh: Collection[Key] = (),
        inputs: Mapping[Key, Sequence[str]] = {},
    ) -> GraphDigests:
        """Digest the tasks of a graph.

        Parameters
        ----------
        tasks : mapping of Key to GraphNode
            As they were sent.
        outside : callable
            Gives the digest of a value that isn't made by the graph.
        fresh : collection of Key
            Tasks that are to be run in any case.
        inputs : mapping of Key to sequence of str
            Files that tasks read without anything saying so.
        """
        with self._files.snapshot():
            return self._digested(tasks, outside, frozenset(fresh), inputs)

    def _digested(
        self,
        tasks: Mapping[Key, GraphNode],
        outside: Callable[[Key], bytes | None],
        fresh: Set[Key],
        inputs: Mapping[Key, Sequence[str]],
    ) -> GraphDigests:
        plain = PlainValues(self._files)
        graph = _GraphWalk(self._walk(plain), self._environment.token, outside)
        for key in _in_order(tasks):
            mark = partial(self._files.inputs, inputs[key]) if key in inputs else None
            graph.add(key, tasks[key], key in fresh, mark)
        digests = {key: graph.known[key] for key in tasks}
        found = {key: one for key, one in digests.items() if one is not None}
        return GraphDigests(found, graph.codes(), graph.refusals)

    def _walk(self, plain: PlainValues) -> Walk:
        return Walk(plain, self._values.open)


class _GraphWalk:
    """Digests tasks one after another, each after those that it reads."""

    def __init__(
        self, walk: Walk, environment: bytes, outside: Callable[[Key], bytes | None]
    ) -> None:
        self._walk = walk
        self._environment = environment
        self._outside = outside
        self.known: _Known = {}
        self.refusals: dict[str, Refusal] = {}
        self._called: dict[Any, dict[bytes, None]] = {}  # by first part of the key

    def add(
        self, key: Key, node: GraphNode, is_fresh: bool, mark: Callable[[], bytes] | None
    ) -> None:
        """Digest a task."""
        for read in node.dependencies:
            if read not in self.known:
                self.known[read] = self._outside(read)
        found: bytes | None = None
        try:
            found = self._node(node, self.known)
            if is_fresh:
                found = None
            if found is not None and mark is not None:
                found = digest(found + mark())
        except UndigestibleError as error:
            found = None
            reason = str(error)
            before = self.refusals.get(reason)
            first, count = (before.key, before.count) if before else (key, 0)
            self.refusals[reason] = Refusal(first, count + 1)
        self.known[key] = found
        if isinstance(node, Task):
            self._note_code(key, node)

    def _note_code(self, key: Key, node: Task) -> None:
        called = self._called.setdefault(key[0] if type(key) is tuple else key, {})
        for function in _functions(node):
            try:
                called[self._walk.digest(function)] = None
            except UndigestibleError:
                called[b""] = None

    def codes(self) -> dict[str, bytes]:
        """Give the digests of what is called by key prefix."""
        found: dict[str, set[bytes]] = {}
        for name, called in self._called.items():
            found.setdefault(key_split(name), set()).update(called)
        return {
            prefix: digest(self._environment + b"".join(sorted(called)))
            for prefix, called in found.items()
            if b"" not in called
        }

    def _node(self, node: GraphNode, known: _Known) -> bytes | None:
        """Give the digest of what a node makes."""
        if isinstance(node, Task):
            if node.func is EXECUTE_SUBGRAPH:
                return self._fused(node, known)
            parts = [self._environment]
            if not self._write(node, known, parts):
                return None
            return digest(b"".join(parts))
        if isinstance(node, Alias):
            return known[node.target]
        if isinstance(node, DataNode):
            return _of_data(self._walk, node.value)
        raise UndigestibleError(f"a node of {type(node).__qualname__} isn't known")

    def _write(self, node: Task, known: _Known, parts: list[bytes]) -> bool:
        """Write what a task calls, and with what; tell whether all that it reads has a digest."""
        if not node.args and not node.kwargs:
            why = impurity.reason(node.func, True)
            if why is not None:
                raise UndigestibleError(why)
        parts.append(b"T" + self._walk.digest(node.func) + b"%d;" % len(node.args))
        for argument in node.args:
            if not self._argument(argument, known, parts):
                return False
        for name, argument in sorted(node.kwargs.items()):
            parts.append(b"=" + name.encode() + b";")
            if not self._argument(argument, known, parts):
                return False
        parts.append(b".")
        return True

    def _argument(self, argument: Any, known: _Known, parts: list[bytes]) -> bool:
        if type(argument) is TaskRef:
            found = known[argument.key]
        elif isinstance(argument, GraphNode):
            if isinstance(argument, Task) and argument.func is not EXECUTE_SUBGRAPH:
                return self._write(argument, known, parts)
            found = self._node(argument, known)
        else:
            parts.append(self._walk.encoded(argument))
            return True
        if found is None:
            return False
        parts.append(b"R" + found)
        return True

    def _fused(self, node: Task, known: _Known) -> bytes | None:
        """Give the digest that the last of fused tasks would have if they stood alone."""
        inner, target, names, *arguments = node.args
        local: _Known = {}
        for name, argument in zip(names, arguments, strict=True):
            if isinstance(argument, TaskRef):
                local[name] = known[argument.key]
            elif isinstance(argument, GraphNode):
                local[name] = self._node(argument, known)
            else:
                local[name] = _of_data(self._walk, argument)
        for name in _in_order(inner):
            local[name] = self._node(inner[name], local)
        return local[target]


def _of_data(walk: Walk, value: Any) -> bytes:
    return digest(b"D" + walk.encoded(value))


def _functions(node: Task) -> Iterable[Any]:
    """Give what a task calls."""
    if node.func is EXECUTE_SUBGRAPH:
        for inner in node.args[0].values():
            if isinstance(inner, Task):
                yield from _functions(inner)
    else:
        yield node.func


def _in_order(tasks: Mapping[Key, GraphNode]) -> list[Key]:
    """Order tasks so that each comes after those that it reads."""
    order: dict[Key, None] = {}
    for first in tasks:
        stack = [first]
        while stack:
            key = stack[-1]
            if key in order:
                stack.pop()
                continue
            left = [read for read in tasks[key].dependencies if read in tasks and read not in order]
            if not left:
                order[stack.pop()] = None
            stack += left
    return [*order]
