"""A world of tasks from which simulated clients pick graphs: who reads what, and who misbehaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from random import Random

from dask.typing import Key

from dask_knot.tracking.events import Graph


@dataclass(frozen=True, slots=True)
class Task:
    """What the tracker knows of a task."""

    dependencies: Set[Key]


def task(*reads: Key) -> Task:
    """Make a task that reads `reads`, in an order that doesn't depend on hashes."""
    return Task(dict.fromkeys(reads).keys())


@dataclass(slots=True)
class Universe:
    """All tasks there are.

    Attributes
    ----------
    poison : set of Key
        Tasks that end the process that runs them.
    raising : set of Key
        Tasks that raise, for as long as nobody mends them.
    bad : set of Key
        Tasks that are or were one of these.
    priorities : dict of Key to float
        Tasks that come before or after others.
    needs : dict of Key to int
        Tasks that run out of jobs with less memory.
    largest : int
        Jobs with more memory never start.
    """

    tasks: dict[Key, Task]
    literals: set[Key] = field(default_factory=set)
    scattered: list[Key] = field(default_factory=list)
    poison: set[Key] = field(default_factory=set)
    raising: set[Key] = field(default_factory=set)
    bad: set[Key] = field(default_factory=set)
    priorities: dict[Key, float] = field(default_factory=dict)
    needs: dict[Key, int] = field(default_factory=dict)
    largest: int = 2**60

    def graph(self, wanted: Collection[Key], outside: Collection[Key]) -> Graph:
        """Cull the graph of some keys; those of `outside` are read, not made."""
        needed: set[Key] = set()
        external: set[Key] = set()
        left = list(wanted)
        while left:
            key = left.pop()
            if key in needed or key in external:
                continue
            if key not in self.tasks or (key in outside and key not in wanted):
                external.add(key)
                continue
            needed.add(key)
            left += self.tasks[key].dependencies
        tasks = {key: node for key, node in self.tasks.items() if key in needed}
        literals = self.literals & needed
        priorities = {key: first for key, first in self.priorities.items() if key in needed}
        return Graph(
            tasks,
            [key for key in tasks if key in wanted],
            literals,
            sorted(external, key=str),
            priorities=priorities,
            priority=max((priorities.get(key, 0) for key in wanted), default=0),
        )

    def ancestors(self, key: Key) -> set[Key]:
        """Find all tasks that a key needs, itself included."""
        found: set[Key] = set()
        left = [key]
        while left:
            key = left.pop()
            if key not in found:
                found.add(key)
                left += self.tasks[key].dependencies if key in self.tasks else ()
        return found


def random_universe(random: Random, most: int = 24) -> Universe:
    """Draw tasks that read earlier ones, some literals and scattered values; some misbehave."""
    scattered: list[Key] = [f"given-{n}" for n in range(random.randint(0, 2))]
    literals: list[Key] = [f"literal-{n}" for n in range(random.randint(0, 2))]
    tasks = {key: task() for key in literals}
    made: list[Key] = []
    reach = random.choice((2, 5, most))
    for n in range(random.randint(3, most)):
        near = made[-reach:] + (literals + scattered if random.random() < 0.3 else [])
        reads = random.choices(near, k=random.randint(0, 3)) if near else []
        made.append(f"task-{n}")
        tasks[made[-1]] = task(*reads)
    universe = Universe(tasks, set(literals), scattered)
    universe.poison = set(_few(random, made))
    universe.raising = set(_few(random, made)) - universe.poison
    universe.priorities = {key: random.choice((-1, 1, 2)) for key in _few(random, made)}
    universe.bad = universe.poison | universe.raising
    return universe


def _few(random: Random, keys: list[Key]) -> Iterable[Key]:
    return random.sample(keys, random.choice((0, 0, 1, min(3, len(keys)))))
