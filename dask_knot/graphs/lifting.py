"""Takes apart what stands in the tasks of a graph: what is large, and what can be changed.

Large constants leave their tasks, so that shards read them as other inputs. What is small and can
be changed becomes an `OwnCopy`: pickled once for all tasks of the graph that have it, unpickled by
each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from dask.typing import Key

from dask_knot.graphs.constants import LARGE, Constant, Constants, own_copy
from dask_knot.graphs.mutability import Sharing, can_change
from dask_knot.graphs.weights import LOOKED_AT, PLAIN, TEXTS, is_heavy, is_tangled, kind_of
from dask_knot.internals import (
    EXECUTE_SUBGRAPH,
    Alias,
    DataNode,
    Dict,
    GraphNode,
    List,
    NestedContainer,
    Task,
    TaskRef,
    TupleNode,
    like,
    named,
)
from dask_knot.task.copies import CopyPart, OwnCopy

#: Of these a new one can be made around what was lifted out of it.
_REBUILT: dict[type, Callable[[Any], GraphNode]] = {list: List, tuple: TupleNode, dict: Dict}


def lift(
    tasks: Mapping[Key, GraphNode], wanted: Collection[Key], constants: Constants
) -> dict[Key, GraphNode]:
    """Give a graph whose large constants are nodes of their own, and whose tasks share nothing.

    Parameters
    ----------
    tasks : mapping of Key to GraphNode
        A culled graph.
    wanted : collection of Key
        Keys that must stay what they are called.
    constants : Constants
        Those of all graphs.
    """
    lifting = _Lifting(constants)
    renamed: dict[Key, Key] = {}
    lifted: dict[Key, GraphNode] = {}
    bare: object = None  # a function of which nothing is lifted: a map has a million calls of it
    for key, node in tasks.items():
        kind = type(node)
        if kind is Task and node.func is bare and _is_plain(node):
            lifted[key] = named(key, node)
        elif kind is Task or isinstance(node, NestedContainer):
            new = lifting.task(node)
            lifted[key] = named(key, new)
            if kind is Task:
                bare = node.func if new is node and _is_plain(node) else None
        elif kind is not DataNode:
            lifted[key] = node
        elif (constant := lifting.literal(node, key in wanted)) is None:
            lifted[key] = node if key in wanted else lifting.own_literal(node)
        elif key in wanted:
            lifted[key] = Alias(key, constant.key)
        else:
            renamed[key] = constant.key
    if renamed:
        for key, node in lifted.items():
            if not renamed.keys().isdisjoint(node.dependencies):
                lifted[key] = named(key, node.substitute(renamed))  # a container forgets its name
    return lifted | lifting.found


class _Lifting:
    """Goes over the tasks of one graph; `found` are the constants."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._seen: dict[int, tuple[object, Constant | None]] = {}
        self._partials: dict[int, bool] = {}
        self._copies: dict[int, tuple[object, OwnCopy | None]] = {}
        self._own: dict[int, object] = {}  # what the present task has of them
        self._sharing = Sharing()
        self._parts: dict[tuple[int, ...], dict[int, CopyPart]] = {}
        self._together: dict[int, CopyPart] = {}
        self.found: dict[Key, GraphNode] = {}

    def literal(self, node: DataNode, is_wanted: bool) -> Constant | None:
        """Find a literal to be large.

        `Client.map` names large keywords by their names alone: those that look like names get one
        that says what is in them, since another graph may have another value of that name.
        """
        is_name = isinstance(node.key, str) and node.key.isidentifier() and not is_wanted
        return self._constant(node.value, 0 if is_name else LARGE)

    def own_literal(self, node: DataNode) -> GraphNode:
        """Let each task that reads a small literal have it for itself, if it can be changed."""
        return (own_copy(node.value, node.key) if can_change(node.value) else None) or node

    def task(self, node: Task) -> GraphNode:
        """Give a task that has nothing large and shares nothing; the very same one if it did so."""
        self._own.clear()
        lifted = self._node(node)
        if len(self._own) > 1 and (parts := self._entangled(tuple(self._own))):
            self._together = parts
            lifted = self._node(node)
            self._together = {}
        return lifted

    def _entangled(self, ids: tuple[int, ...]) -> dict[int, CopyPart]:
        """Let values be made together if they hold the same objects."""
        if ids not in self._parts:
            own = tuple(self._own.values())
            found = self._parts[ids] = {}
            if self._sharing.among(own) and (whole := own_copy(own)) is not None:
                found |= {id: CopyPart(whole, place) for place, id in enumerate(ids)}
        return self._parts[ids]

    def _task(self, node: Task) -> Task:
        if node.func is EXECUTE_SUBGRAPH and not node.kwargs:
            return self._fused(node)
        if type(node.func) is partial and self._is_heavy(node.func):
            return self._task(_unrolled(node, node.func))
        func = self._lifted(node.func) if kind_of(node.func) not in PLAIN else node.func
        args = self._all(node.args)
        values = self._all(node.kwargs.values()) if node.kwargs else None
        if func is node.func and args is None and values is None:
            return node
        args = node.args if args is None else args
        kwargs = dict(zip(node.kwargs, values, strict=True)) if values else node.kwargs
        if func is not node.func:
            func, args = _call, [func, *args]
        return like(node, func, args, kwargs)

    def _fused(self, node: Task) -> Task:
        """Lift out of tasks that were fused: they read constants as what comes from outside."""
        inner, target, names, *reads = node.args
        lifted, constants = {}, {}
        is_same = True
        for key, task in inner.items():
            new = lifted[key] = self._node(task)
            if new is not task:
                is_same = False
                outside = new.dependencies - task.dependencies
                constants.update(dict.fromkeys(sorted(outside, key=str)))
        new_reads = self._all(reads)
        if is_same and new_reads is None:
            return node
        names = [*names, *constants]
        reads = [*(new_reads or reads), *map(TaskRef, constants)]
        return like(node, node.func, [lifted, target, names, *reads], {})

    def _node(self, node: GraphNode) -> GraphNode:
        """Lift out of a node that stands inside of a task."""
        if isinstance(node, NestedContainer):
            items = self._all(node.args)
            return node if items is None else _like(node, items)
        if type(node) is Task:
            return self._task(node)
        if type(node) is not DataNode:
            return node
        if (constant := self._constant(node.value)) is not None:
            return Alias(node.key, constant.key)
        own = self._owned(node.value)
        return node if own is node.value else own

    def _all(self, values: Iterable[object]) -> list[object] | None:
        """Lift out of several arguments; None if there is nothing."""
        new: list[object] | None = None
        for number, value in enumerate(values):
            if kind_of(value) in PLAIN:
                continue
            lifted = self._lifted(value)
            if lifted is not value:
                new = list(values) if new is None else new
                new[number] = lifted
        return new

    def _lifted(self, value: Any) -> Any:
        if issubclass(type(value), GraphNode):  # `isinstance` would ask what isn't one
            return self._node(value)
        kind = kind_of(value)
        if kind is str and len(value) < LARGE:
            return value
        if id(value) in self._copies:  # as another task has it
            return self._owned(value)
        if kind in _REBUILT and len(value) <= LOOKED_AT:
            if not is_heavy(value, LARGE):
                return self._owned(value)
            items = None
            if not is_tangled(value):
                items = self._all(value.values() if kind is dict else value)
            if items is not None:
                whole = dict(zip(value, items, strict=True)) if kind is dict else kind(items)
                return _REBUILT[kind](whole)
        constant = self._constant(value)
        return self._owned(value) if constant is None else TaskRef(constant.key)

    def _owned(self, value: Any) -> Any:
        """Let a task have a small value for itself, if it can be changed."""
        if id(value) in self._together:
            return self._together[id(value)]
        known = self._copies.get(id(value))
        if known is None:
            # The object is kept, too: another one might get its id.
            made = own_copy(value) if can_change(value) else None
            known = self._copies[id(value)] = (value, made)
        if known[1] is None:
            return value
        self._own[id(value)] = value
        return known[1]

    def _is_heavy(self, func: partial[Any]) -> bool:
        """Weigh a function that thousands of tasks may share; none goes before its graph."""
        known = self._partials.get(id(func))
        if known is None:
            known = self._partials[id(func)] = is_heavy(func, LARGE)
        return known

    def _constant(self, value: Any, least: int = LARGE) -> Constant | None:
        """Make a constant of an object if it is large; each object is looked at once."""
        kind = kind_of(value)
        if least and (kind in PLAIN or (kind in TEXTS and len(value) < least)):
            return None
        known = self._seen.get(id(value))
        if known is None:
            constant = None
            if is_heavy(value, least):
                constant = self._constants.take(value, least)
            elif kind in _REBUILT:
                return None
            # The object is kept, too: another one might get its id.
            known = self._seen[id(value)] = (value, constant)
        constant = known[1]
        if constant is not None:
            self.found[constant.key] = constant
        return constant


def _is_plain(node: Task) -> bool:
    """Tell whether arguments of a task are such that nothing is lifted out of them."""
    if node.kwargs:
        return False
    return all(
        [
            kind_of(one) in PLAIN or (type(one) is str and len(one) < LARGE)  # a path, say
            for one in node.args
        ]
    )


def _like(node: NestedContainer, items: list[object]) -> NestedContainer:
    """Make a container of another kind of items; from a whole one, since one item may be one."""
    if isinstance(node, Dict):
        return Dict(dict(zip(items[::2], items[1::2], strict=True)))
    return type(node)(node.klass(items))


def _unrolled(node: Task, func: partial[Any]) -> Task:
    """Give the task that calls the function of a partial, with all of its arguments."""
    return like(node, func.func, [*func.args, *node.args], {**func.keywords, **node.kwargs})


def _call(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that was a large constant itself: it holds values, or is bound to one."""
    return func(*args, **kwargs)
