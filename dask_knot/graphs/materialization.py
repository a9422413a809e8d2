"""Makes the tasks of an expression, in the thread that opens a graph while its client goes on.

Up to Python 3.11 a `cached_property` takes one lock for all objects of its class. A client that
asks a dataframe for its divisions holds it while they are computed here, and here the divisions of
other dataframes may be needed to make the tasks: each would wait for the other, for ever. Python
3.12 has no such lock: at worst two threads find the same value.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache, cached_property
from typing import Any

import dask
from dask.typing import Key

from dask_knot.graphs.annotations import Annotations
from dask_knot.graphs.shuffles import branched
from dask_knot.internals import (
    EXECUTE_SUBGRAPH,
    NO_ANNOTATION,
    Expr,
    GraphNode,
    HLGExpr,
    LLGExpr,
    Task,
    materialized,
)

_HAVE_LOCKS = sys.version_info < (3, 12)


def is_whole(expr: Any) -> bool:
    """Tell whether a graph is as it was given: all others Dask optimizes, and so culls them."""
    if isinstance(expr, HLGExpr):
        return expr.low_level_optimizer is None
    return isinstance(expr, LLGExpr)


def materialize(expr: Any) -> tuple[dict[Key, GraphNode], Annotations]:
    """Make the tasks of an expression, without the fusion that forgets what layers are told."""
    if not isinstance(expr, LLGExpr | HLGExpr):
        _free_of_locks()
    layers = [layer for part in expr.find_operations(HLGExpr) for layer in part.hlg.layers.values()]
    fuse = {"optimization.fuse.active": False} if any(la.annotations for la in layers) else {}
    with dask.config.set(fuse), branched(expr):
        tasks, made = materialized(expr)
    found = {
        name: {key: told for key, told in by_key.items() if not isinstance(told, NO_ANNOTATION)}
        for name, by_key in made.items()
    }
    annotated = [layer for layer in layers if layer.annotations]
    if annotated:
        _keep(annotated, tasks, found)
    return tasks, found


def _keep(layers: list[Any], tasks: dict[Key, GraphNode], found: dict[str, dict[Key, Any]]) -> None:
    """Tell tasks what their layers were told: dask.bag forgets it, and fuses in spite of it."""
    places: dict[Key, Key] = {}
    for key, node in tasks.items():
        if isinstance(node, Task) and node.func is EXECUTE_SUBGRAPH:
            places |= dict.fromkeys(node.args[0], key)
    places |= {key: key for key in tasks}
    for layer in layers:
        here = {key: places[key] for key in layer.get_output_keys() if key in places}
        for name, given in layer.annotations.items():
            by_key = found.setdefault(name, {})
            for key, place in here.items():
                told = given(key) if callable(given) else given
                if not isinstance(told, NO_ANNOTATION):
                    by_key.setdefault(place, told)


def _free_of_locks() -> None:
    """Take the locks off the properties of every kind of expression that is known by now."""
    if _HAVE_LOCKS:
        for kind in _kinds(Expr):
            _free(kind)  # type: ignore[arg-type]  # a class is hashable


def _kinds(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for below in type.__subclasses__(kind):
        yield from _kinds(below)


@cache
def _free(kind: type) -> None:
    for base in kind.__mro__:  # what it has of others that are no expressions, too
        for value in vars(base).values():
            if isinstance(value, cached_property):
                # A thread that is in there now leaves the lock that it took.
                value.lock = nullcontext()  # type: ignore[attr-defined]
