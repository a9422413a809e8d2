"""Tasks on their way to the planner, together with who wants them and what they read."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from dask.typing import Key

from dask_knot.planning import Resources
from dask_knot.run.names import StageId
from dask_knot.tracking.events import Graph, Node
from dask_knot.tracking.records import KeyRecord


@dataclass(slots=True, eq=False)
class Draft:
    """Tasks that will be planned together.

    Attributes
    ----------
    first, last : float
        When the first and the last of them came.
    is_urgent : bool
        Nothing came shortly before the first.
    tasks_per_shard : int, optional
        Recovery isolates a task that ends its process.
    priority : float
        That of its graphs.
    is_handed : bool
        Shards have handed over all of it: it is for the slots that are free.
    tasks : dict of Key to Node
        All tasks, literals included.
    origin : dict of Key to Graph
        The graph that each task came with.
    wanted : list of KeyRecord
        Keys to be made.
    reads : dict of Key to KeyRecord
        Values made outside; each counts this draft as a reader until it is planned.
    waits : set of StageId
        Stages that others planned, and that make some of these.
    misread : set of Key
        Tasks that will read other values than their digests say.
    looked : int
        So many times others had told what they make when it was looked at last for what of it that
        is.
    """

    first: float
    last: float
    is_urgent: bool = False
    tasks_per_shard: int | None = None
    priority: float = 0
    is_handed: bool = False
    tasks: dict[Key, Node] = field(default_factory=dict)
    origin: dict[Key, Graph] = field(default_factory=dict)
    literals: set[Key] = field(default_factory=set)
    resources: dict[Key, Resources] = field(default_factory=dict)
    wanted: list[KeyRecord] = field(default_factory=list)
    reads: dict[Key, KeyRecord] = field(default_factory=dict)
    waits: set[StageId] = field(default_factory=set)
    misread: Set[Key] = frozenset()
    looked: int = 0

    def wait_for(self, stage: StageId) -> None:
        """Read what an adopted stage makes."""
        self.waits.add(stage)

    def wait_for_nobody(self) -> None:
        """Read nothing that an adopted stage makes, as far as is known."""
        self.waits.clear()

    def want(self, record: KeyRecord, now: float) -> None:
        """Note one more key that is to be made."""
        self.last = now
        self.wanted.append(record)
        record.join(self)

    def add(self, graph: Graph, key: Key) -> None:
        """Take one task of a graph."""
        self.tasks[key] = graph.tasks[key]
        self.origin[key] = graph
        if key in graph.literals:
            self.literals.add(key)
        if key in graph.resources:
            self.resources[key] = graph.resources[key]

    def add_all(self, graph: Graph) -> None:
        """Take a graph as it is."""
        self.tasks.update(graph.tasks)
        self.origin.update(dict.fromkeys(graph.tasks, graph))
        self.literals.update(graph.literals)
        self.resources.update(graph.resources)

    def discard(self, key: Key) -> None:
        """Let one task go."""
        del self.tasks[key], self.origin[key]
        self.literals.discard(key)
        self.resources.pop(key, None)

    def seconds(self) -> dict[Key, float]:
        """Give how long tasks take, as far as the user has said so."""
        graphs = [graph for graph in dict.fromkeys(self.origin.values()) if graph.seconds]
        said = ((key, graph, seconds) for graph in graphs for key, seconds in graph.seconds.items())
        return {key: seconds for key, graph, seconds in said if self.origin.get(key) is graph}

    def doubt(self, keys: Set[Key]) -> None:
        """Have tasks whose digests don't hold, and no others."""
        self.misread = keys

    def digest(self, key: Key) -> bytes | None:
        """Give the digest of a task, unless that isn't what it will do."""
        return None if key in self.misread else self.origin[key].digests.get(key)

    def read(self, record: KeyRecord) -> None:
        """Note a value that is read from outside, unless it is to be made here."""
        if record.draft is not self:
            self.reads[record.key] = record
            record.count_readers(1)

    def leave(self, key: Key) -> None:
        """Read a value no longer; whoever says so counts one reader less."""
        self.reads.pop(key, None)

    def absorb(self, other: Draft) -> list[KeyRecord]:
        """Take all of another draft; give what both read, and is read but once now."""
        self.tasks.update(other.tasks)
        self.origin.update(other.origin)
        self.literals |= other.literals
        self.resources.update(other.resources)
        for record in other.wanted:
            if record.draft is other:
                record.join(self)
                self.wanted.append(record)
        twice = [record for key, record in other.reads.items() if key in self.reads]
        self.reads = {**other.reads, **self.reads}
        self.waits |= other.waits
        self.looked = min(self.looked, other.looked)
        self.is_handed &= other.is_handed
        sizes = [d.tasks_per_shard for d in (self, other) if d.tasks_per_shard is not None]
        self.tasks_per_shard = min(sizes, default=None)
        return twice

    def take_all_slots(self) -> None:
        """Be for more than the slots that are free."""
        self.is_handed = False

    def note_look(self, looked: int) -> None:
        """Have nothing in it that others make, as far as is known by now."""
        self.looked = looked

    def come_first(self) -> None:
        """Be due at once, and before all others."""
        self.first = float("-inf")
