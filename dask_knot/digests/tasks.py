"""Digests tasks from the digests of what they read.

What is fused is digested as if its tasks stood alone: whether Dask fuses them depends on what else
is computed. Most fused tasks of a graph share what is inside, which is written once for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from dask.typing import Key

from dask_knot.digests import impurity
from dask_knot.digests.plain import digest
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.walk import Walk
from dask_knot.internals import EXECUTE_SUBGRAPH, Alias, DataNode, GraphNode, Task, TaskRef
from dask_knot.run.codec import SIMPLE

#: Made once: it is asked for every argument.
_NODES = (TaskRef, GraphNode)
#: With it begins what a task reads.
_READ = ord(b"R")
#: With it what it calls, and True, which is nothing else.
_CALLED = ord(b"T")
#: So many fused tasks are remembered: in arrays that are filled, most blocks are alike.
_REMEMBERED = 10_000
#: Digests by key; None for what has none.
Known = Mapping[Key, bytes | None]


class TaskWriter:
    """Writes tasks, with those places open that are filled by what they read.

    Parameters
    ----------
    walk : Walk
        Digests values.
    environment : bytes
        Enters everything that is called.
    """

    def __init__(self, walk: Walk, environment: bytes) -> None:
        self._walk = walk
        self._environment = environment
        # By id, of what the graph holds.
        self._fused: dict[int, list[tuple[Key, Form]]] = {}
        self._inner_own: dict[int, int] = {}
        #: The checksum of what the last task has for itself, which is all but what it reads.
        self.own = 0
        self._seen: dict[tuple[Any, ...], bytes] = {}

    def digest(self, node: GraphNode, known: Known) -> bytes:
        """Give the digest of what a node makes, of which all that it reads has one.

        Raises
        ------
        UndigestibleError
            If something in it has none.
        """
        if not isinstance(node, Task):
            return self.form(node).digest(known)
        if node.func is EXECUTE_SUBGRAPH:
            return self._fused_digest(node, known)
        parts: list[Any] = [self._environment]
        self._call(node, parts, known)
        # Without the environment, and what is called.
        self.own = crc32(b"".join([part for part in parts[2:] if part[0] != _READ]))
        return digest(b"".join(parts))

    def _fused_digest(self, node: Task, known: Known) -> bytes:
        inner, target, names, *arguments = node.args
        inside: dict[Key, bytes] = {}
        own = b""
        for name, one in zip(names, arguments, strict=True):
            if type(one) is TaskRef:
                inside[name] = _there(known, one.key)
                continue
            if type(one) is DataNode:
                found = self.of_data(one.value)
            else:
                is_node = isinstance(one, GraphNode)
                found = self.digest(one, known) if is_node else self.of_data(one)
            inside[name] = found
            own += found
        seen = (id(inner), id(names), target, *inside.values())
        known_one = self._seen.get(seen)
        if known_one is None:
            for name, form in self._steps(inner):
                inside[name] = form.digest(inside)
            known_one = inside[target]
            if len(self._seen) < _REMEMBERED:
                self._seen[seen] = known_one
        self.own = crc32(own, self._inner_own[id(inner)])
        return known_one

    def form(self, node: GraphNode) -> Form:
        """Write a node."""
        if isinstance(node, Task):
            if node.func is EXECUTE_SUBGRAPH:
                return self._fusion(node)
            parts: list[bytes | Form] = [self._environment]
            self._call(node, parts, None)
            return _Calling(parts)
        if isinstance(node, Alias):
            return _Inlet(node.target)
        if isinstance(node, DataNode):
            return _Settled(self.of_data(node.value))
        raise UndigestibleError(f"a node of {type(node).__qualname__} isn't known")

    def of_data(self, value: Any) -> bytes:
        """Give the digest of a value that stands in a graph."""
        return digest(b"D" + self._walk.encoded(value))

    def _call(self, node: Task, parts: list[bytes | Form], known: Known | None) -> None:
        """Write what a task calls, and with what; what it reads stays open if nothing is known."""
        if not node.args and not node.kwargs:
            why = impurity.reason(node.func, True)
            if why is not None:
                raise UndigestibleError(why)
        parts.append(b"T%b%d;" % (self._walk.digest(node.func), len(node.args)))
        encoded = self._walk.encoded
        for argument in node.args:
            if type(argument) not in SIMPLE and isinstance(argument, _NODES):
                self._argument(argument, parts, known)
            else:
                parts.append(encoded(argument))
        if node.kwargs:
            for name, argument in sorted(node.kwargs.items()):
                parts.append(b"=%b;" % name.encode())
                self._argument(argument, parts, known)
        parts.append(b".")

    def _argument(self, argument: Any, parts: list[bytes | Form], known: Known | None) -> None:
        if type(argument) is TaskRef or type(argument) is Alias:
            key = argument.key if type(argument) is TaskRef else argument.target
            parts.append(_Inlet(key) if known is None else b"R" + _there(known, key))
        elif not isinstance(argument, GraphNode):
            parts.append(self._walk.encoded(argument))
        elif isinstance(argument, Task) and argument.func is not EXECUTE_SUBGRAPH:
            self._call(argument, parts, known)
        elif known is None:
            parts.append(self.form(argument))
        else:
            parts.append(b"R" + self.digest(argument, known))

    def _fusion(self, node: Task) -> Form:
        inner, target, names, *arguments = node.args
        given = [(n, self._given(one)) for n, one in zip(names, arguments, strict=True)]
        return _Fusion(given, self._steps(inner), target)

    def _steps(self, inner: Mapping[Key, GraphNode]) -> Sequence[tuple[Key, Form]]:
        """Write what is inside of fused tasks."""
        steps = self._fused.get(id(inner))
        if steps is None:
            forms = [(name, self.form(inner[name])) for name in in_order(inner)]
            steps = [(name, form.settled()) for name, form in forms]
            self._fused[id(inner)] = steps
            self._inner_own[id(inner)] = crc32(b"".join([form.fixed() for _, form in forms]))
        return steps

    def _given(self, argument: Any) -> Form:
        if isinstance(argument, TaskRef):
            return _Inlet(argument.key)
        if isinstance(argument, GraphNode):
            return self.form(argument)
        return _Settled(self.of_data(argument))


def _there(known: Known, key: Key) -> bytes:
    found = known[key]
    assert found is not None
    return found


class Form:
    """A node that is written but for what it reads."""

    __slots__ = ()

    def digest(self, known: Known) -> bytes:
        """Fill in the digests of what it reads."""
        raise UndigestibleError("a form of no kind")

    def settled(self) -> Form:
        """Do what can be done before anything is filled in."""
        return self

    def fixed(self) -> bytes:
        """Give what is the same whatever is filled in, and whatever is called."""
        return b""


class _Settled(Form):
    __slots__ = ("_digest",)

    def __init__(self, found: bytes) -> None:
        self._digest = found

    def digest(self, known: Known) -> bytes:
        return self._digest

    def fixed(self) -> bytes:
        return self._digest


class _Inlet(Form):
    __slots__ = ("_key",)

    def __init__(self, key: Key) -> None:
        self._key = key

    def digest(self, known: Known) -> bytes:
        return _there(known, self._key)


class _Calling(Form):
    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[bytes | Form]) -> None:
        self._parts = parts

    def digest(self, known: Known) -> bytes:
        return digest(
            b"".join(
                [
                    part if type(part) is bytes else b"R" + part.digest(known)  # type: ignore[union-attr]
                    for part in self._parts
                ]
            )
        )

    def fixed(self) -> bytes:
        found = []
        for part in self._parts[1:]:
            if not isinstance(part, bytes):
                found.append(part.fixed())
            elif part[0] != _CALLED or len(part) == 1:
                found.append(part)
        return b"".join(found)

    def settled(self) -> Form:
        parts: list[bytes | Form] = []
        for part in self._parts:
            if isinstance(part, bytes) and parts and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)
        whole = _Calling(parts)
        return _Settled(whole.digest({})) if len(parts) == 1 else whole


class _Fusion(Form):
    __slots__ = ("_given", "_steps", "_target")

    def __init__(
        self, given: Sequence[tuple[Key, Form]], steps: Sequence[tuple[Key, Form]], target: Key
    ) -> None:
        self._given = given
        self._steps = steps
        self._target = target

    def digest(self, known: Known) -> bytes:
        inside: dict[Key, bytes] = {name: form.digest(known) for name, form in self._given}
        for name, form in self._steps:
            inside[name] = form.digest(inside)
        return inside[self._target]


def called(node: Task) -> Iterator[Any]:
    """Give what a task calls, itself or in tasks that are fused into it."""
    if node.func is EXECUTE_SUBGRAPH:
        for inner in node.args[0].values():
            if isinstance(inner, Task):
                yield from called(inner)
    else:
        yield node.func


def in_order(tasks: Mapping[Key, GraphNode]) -> list[Key]:
    """Order tasks so that each comes after those that it reads."""
    order: list[Key] = []
    done: set[Key] = set()
    for first in tasks:
        if first in done:
            continue
        stack = [first]
        while stack:
            key = stack[-1]
            left = [read for read in tasks[key].dependencies if read not in done and read in tasks]
            if left:
                stack += left
                continue
            stack.pop()
            if key not in done:
                done.add(key)
                order.append(key)
    return order
