"""A graph as the tracker knows it: tasks by key, and what clients said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from dask.typing import Key

from dask_knot.planning import Resources


class Node(Protocol):
    """The little that the tracker knows of a task."""

    @property
    def dependencies(self) -> Set[Key]:
        """The keys it reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A culled graph.

    Attributes
    ----------
    tasks : mapping of Key to Node
        Every task that a wanted key needs, literals included.
    wanted : sequence of Key
        What the client asked for.
    literals : set of Key
        Tasks that are constants.
    external : sequence of Key
        Keys that tasks read and that are not in `tasks`.
    resources : mapping of Key to Resources
        What tasks need that is not the usual.
    seconds : mapping of Key to float
        How long tasks take, as far as the user has said so.
    priorities : mapping of Key to float
        Of tasks that come before others, or after them; all others have 0.
    priority : float
        The highest one of what is wanted: a graph is planned as a whole.
    digests : mapping of Key to bytes
        In a named run, the digests of the tasks' work; none of work that must be done anew.
    codes : mapping of str to bytes
        In a named run, the digest of the code of the tasks, by key prefix.
    marks : mapping of str to bytes
        A mark of that code, which tells whether it is known how long tasks take.
    components : Any
        In a named run, what the digests are made of, to be kept beside plans.
    """

    tasks: Mapping[Key, Node]
    wanted: Sequence[Key]
    literals: Set[Key] = frozenset()
    external: Sequence[Key] = ()
    resources: Mapping[Key, Resources] = field(default_factory=dict)
    seconds: Mapping[Key, float] = field(default_factory=dict)
    priorities: Mapping[Key, float] = field(default_factory=dict)
    priority: float = 0
    digests: Mapping[Key, bytes] = field(default_factory=dict)
    codes: Mapping[str, bytes] = field(default_factory=dict)
    marks: Mapping[str, bytes] = field(default_factory=dict)
    components: Any = None

    def tasks_before(self, key: Key, is_there: Callable[[Key], bool]) -> dict[Key, Node]:
        """Take a task, and all tasks before it whose values can't be had.

        Parameters
        ----------
        key : Key
            Names the task, which is taken in any case.
        is_there : callable
            Whether the value of a key can be had.
        """
        tasks: dict[Key, Node] = {}
        stack = [key]
        while stack:
            task = stack.pop()
            if task not in tasks:
                tasks[task] = self.tasks[task]
                read = [key for key in tasks[task].dependencies if key in self.tasks]
                stack += [key for key in read if not is_there(key)]
        return tasks
