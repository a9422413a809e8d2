"""What the tracker remembers: one small record per key, shard and stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from dask.typing import Key

from dask_knot.planning import Resources
from dask_knot.run.manifest import Output
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import Graph, Node
from dask_knot.tracking.states import KeyState, ShardState, moved
from dask_knot.tracking.tally import Tally


@dataclass(slots=True, eq=False)
class Batch:
    """Tasks that will be planned together.

    Attributes
    ----------
    first, last : float
        When the first and the last of them came.
    is_urgent : bool
        Nothing came shortly before the first.
    tasks : dict of Key to Node
        All tasks, literals included.
    origin : dict of Key to Graph
        The graph that each task came with.
    wanted : list of KeyRecord
        Keys to be made.
    reads : dict of Key to KeyRecord
        Values made outside; each counts this batch as a reader until it is planned.
    tasks_per_shard : int, optional
        Recovery isolates a task that ends its process.
    priority : float
        That of its graphs.
    """

    first: float
    last: float
    is_urgent: bool = False
    tasks: dict[Key, Node] = field(default_factory=dict)
    origin: dict[Key, Graph] = field(default_factory=dict)
    literals: set[Key] = field(default_factory=set)
    resources: dict[Key, Resources] = field(default_factory=dict)
    wanted: list[KeyRecord] = field(default_factory=list)
    reads: dict[Key, KeyRecord] = field(default_factory=dict)
    tasks_per_shard: int | None = None
    priority: float = 0


@dataclass(slots=True, eq=False)
class KeyRecord:
    """A key whose value the client wants, or that one shard makes for another.

    Attributes
    ----------
    graph : Graph, optional
        Where its task is, to make it (again); None for a scattered value.
    is_wanted : bool
        Dask holds it, or waits for it.
    arriving : int
        How many graphs that want it were submitted, but not yet taken by Dask.
    is_known : bool
        Dask may ask for it (again).
    readers : int
        How many unfinished shards, and gathered graphs that are not planned, read it.
    asked : int, optional
        The run id of Dask's question that is open.
    is_answered : bool
        The present outcome was told to Dask.
    attempts : int
        How often it was planned again because its job was lost.
    batch : Batch, optional
        What it waits in to be planned.
    shard : ShardRecord, optional
        What makes or made it, as its output number `ordinal`.
    """

    key: Key
    graph: Graph | None
    state: KeyState = KeyState.WAITING
    is_wanted: bool = False
    arriving: int = 0
    is_known: bool = False
    readers: int = 0
    asked: int | None = None
    is_answered: bool = False
    attempts: int = 0
    batch: Batch | None = None
    shard: ShardRecord | None = None
    ordinal: int = 0
    output: Output | None = None
    type: tuple[bytes, str] = (b"", "")
    error: Exception | None = None

    @property
    def is_needed(self) -> bool:
        """Whether Dask or a shard still needs the value."""
        return self.is_wanted or self.readers > 0 or self.arriving > 0

    @property
    def is_unreadable(self) -> bool:
        """Whether its failure is in a part of a shard that never ended: shards read last manifests.

        Dask was told of it, or can be; a shard that reads the key has to make it again.
        """
        return (
            self.state is KeyState.ERRED
            and self.error is None
            and self.shard is not None
            and self.shard.state in (ShardState.FAILED, ShardState.DROPPED)
        )

    def move(self, state: KeyState) -> None:
        """Take another state."""
        self.state = moved(self.state, state)

    def made_by(self, graph: Graph) -> None:
        """Make it by another graph from now on, unless Dask keeps what the present one reads.

        Dask never changes what a key that it knows depends on.
        """
        if self.graph is None or not self.is_known:
            self.graph = graph

    def start_over(self) -> None:
        """Wait to be made again."""
        self.move(KeyState.WAITING)
        self.output, self.error, self.is_answered = None, None, False


@dataclass(slots=True, eq=False)
class ShardRecord:
    """A shard that was planned, or a group of scattered values that share an object.

    Attributes
    ----------
    size : int
        How many tasks it runs.
    alive : int
        How many of its outputs are needed.
    objects : set of str, optional
        What it wrote; None when that was deleted.
    stored : int
        Bytes of the values in them.
    left : dict of str to int
        Its tasks by prefix that aren't known to have run.
    """

    id: ShardId | None
    size: int
    stage: StageRecord | None = None
    state: ShardState = ShardState.OPEN
    outputs: list[KeyRecord] = field(default_factory=list)
    inputs: list[KeyRecord] = field(default_factory=list)
    alive: int = 0
    objects: set[str] | None = field(default_factory=set)
    stored: int = 0
    left: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class StageRecord:
    """A stage that was planned.

    Attributes
    ----------
    open : int
        How many of its shards aren't done.
    needed : int
        How many of those make something that is needed.
    kept : int
        How many of its shards have objects.
    has_unneeded : bool
        The object `unneeded` tells children of it that nobody needs their shards.
    """

    id: StageId
    shards: list[ShardRecord]
    pack: str
    unneeded: str
    tally: Tally
    open: int
    needed: int
    kept: int
    has_unneeded: bool = False
