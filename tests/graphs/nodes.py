"""Random graphs with nodes of every kind that Dask takes, under names of their own or others."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Set, Task, TaskRef
from dask._task_spec import Tuple as TupleOf
from dask.typing import Key
from hypothesis import strategies as st

#: So many numbers are a constant that is stored apart.
MANY = 20_000
_numbers = count()


class Pair(NamedTuple):
    """A tuple that has a name."""

    one: Any
    other: Any


@dataclass(frozen=True)
class RandomGraph:
    """A graph as a user may write it, and what is asked of it: keys, and keys to be persisted."""

    nodes: Mapping[Key, Any]
    wanted: list[Key]
    persisted: list[Key]


def noted(*values: Any) -> tuple[Any, ...]:
    """Tell what was read: a wrong input shows in all that follows."""
    return ("read", *map(_small, values))


def _small(value: Any) -> Any:
    return ("many", int(value.sum())) if isinstance(value, np.ndarray) else value


#: How a node is made: from its key, another name, and the keys of two nodes before it.
KINDS: dict[str, Callable[[Key, Key, Key, Key], Any]] = {
    "literal": lambda key, name, a, b: DataNode(name, ("literal", str(key))),
    "large literal": lambda key, name, a, b: DataNode(name, np.full(MANY, 3)),
    "raw value": lambda key, name, a, b: {"raw": 7},
    "nothing": lambda key, name, a, b: None,
    "task": lambda key, name, a, b: Task(name, noted, TaskRef(a), TaskRef(b)),
    "task of literals": lambda key, name, a, b: Task(name, noted, 5, str(key)),
    "keywords": lambda key, name, a, b: Task(name, dict, a=TaskRef(a), b=[1, 2]),
    "nested": lambda key, name, a, b: Task(name, noted, List(TaskRef(a), Dict({1: TaskRef(b)}))),
    "alias": lambda key, name, a, b: Alias(name, a),
    "alias of that name": lambda key, name, a, b: Alias(a),
    "list": lambda key, name, a, b: List(TaskRef(a), 1, TaskRef(b)),
    "list of literals": lambda key, name, a, b: List(1, 2),
    "tuple": lambda key, name, a, b: TupleOf(TaskRef(a), [2]),
    "set": lambda key, name, a, b: Set(1, 2),
    "dict": lambda key, name, a, b: Dict({"a": TaskRef(a), "b": TaskRef(b)}),
    "fused": lambda key, name, a, b: GraphNode.fuse(
        Task("inner", noted, TaskRef(a)), Task("outer", noted, TaskRef("inner"), TaskRef(b))
    ),
    "key": lambda key, name, a, b: a,
    "tuple with a call": lambda key, name, a, b: (noted, a, (noted, b, 1)),
    "list with keys": lambda key, name, a, b: [a, [b, (noted, a)], 3],
    "pair": lambda key, name, a, b: Pair(a, (noted, b)),
    "call with keywords": lambda key, name, a, b: (operator.itemgetter(0), [a, {"b": b}]),
}


@st.composite
def random_graphs(draw: st.DrawFn) -> RandomGraph:
    """Draw a graph: every node may be wanted, read and persisted."""
    # Names of their own: with those of a graph before, Dask may give that one's values.
    run = f"r{next(_numbers)}"
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=9))
    keys: list[Key] = [f"{run}_first"]
    nodes: dict[Key, Any] = {keys[0]: 1}
    for number, kind in enumerate(kinds):
        key: Key = draw(st.sampled_from([f"{run}_{number}", f"{run}-{number}", (run, number)]))
        name = draw(st.sampled_from([key, None, f"other-{run}-{number}", *keys]))
        a, b = draw(st.sampled_from(keys)), draw(st.sampled_from(keys))
        nodes[key] = KINDS[kind](key, name, a, b)
        keys.append(key)
    some = st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=True)
    return RandomGraph(nodes, draw(some), draw(some))
