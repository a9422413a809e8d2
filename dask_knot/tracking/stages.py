"""The tracker's memory of stages: how many shards of each run, are needed, or have objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from dask_knot.planning import Resources
from dask_knot.run.names import StageId
from dask_knot.run.orders import Orders
from dask_knot.tracking.moves import ShardEvent
from dask_knot.tracking.records import ShardRecord
from dask_knot.tracking.tally import Tally


@dataclass(slots=True, eq=False)
class StageRecord:
    """A stage that was planned.

    Attributes
    ----------
    waits, pairs : frozenset of StageId
        Stages that it was submitted behind; those of them where child i waits for child i.
    ready, started : float, optional
        When it was seen to wait for no other stage; and to have no child that hasn't started.
    usual : float, optional
        Seconds from then until half of its shards were done.
    open, needed, kept : int
        Its shards that aren't done, those of them that make something that is needed, and all that
        have objects.
    resources : Resources
        What each of its jobs has.
    is_narrow : bool
        It looks for a task that ends its process: it stays as it was cut.
    has_orders : bool
        The object `orders` tells its children what they are to do.
    """

    id: StageId
    pack: str
    orders: str
    tally: Tally
    shards: list[ShardRecord] = field(default_factory=list)
    waits: frozenset[StageId] = frozenset()
    pairs: frozenset[StageId] = frozenset()
    ready: float | None = None
    started: float | None = None
    usual: float | None = None
    open: int = 0
    needed: int = 0
    kept: int = 0
    resources: Resources = field(default_factory=Resources)
    is_narrow: bool = False
    has_orders: bool = False

    def give(self, resources: Resources) -> None:
        """Have jobs of that size."""
        self.resources = resources

    def start(self, now: float) -> None:
        """Have children all of which have started."""
        self.started = now

    def look(self, now: float) -> None:
        """Be looked at while nothing that it waits for is running."""
        if self.ready is None:
            self.ready = now
        if self.usual is None and 2 * self.open <= len(self.shards):
            self.usual = now - self.ready

    def have_orders(self) -> None:
        """Have children that are told something."""
        self.has_orders = True

    def told(self) -> Orders:
        """Tell what its children are to do."""
        running = [(index, shard) for index, shard in enumerate(self.shards) if shard.is_open]
        unneeded = {index for index, shard in running if shard.outputs and not shard.alive}
        # Of two children of a shard one runs on when the other has committed all.
        unneeded |= {n for n, s in enumerate(self.shards) if s.rest.has_twin and not s.is_open}
        asked = {index for index, shard in running if shard.rest.is_asked}
        return Orders(frozenset(unneeded), frozenset(asked - unneeded))

    def add(self, shard: ShardRecord) -> None:
        """Have one shard more."""
        self.shards.append(shard)
        self.open, self.needed, self.kept = self.open + 1, self.needed + 1, self.kept + 1

    def add_dropped(self, shard: ShardRecord) -> None:
        """Have one shard more of which nobody here needs anything yet."""
        shard.move(ShardEvent.UNNEEDED)
        shard.own.go()
        self.shards.append(shard)
        self.tally.note(shard.state)

    def reopen(self, shard: ShardRecord, event: ShardEvent, size: int, opening: int) -> None:
        """Have a shard that is looked at once more."""
        before = shard.state
        self.kept += shard.own.are_gone
        shard.reopen(event, size, opening)
        self.tally.note(shard.state, before)
        self.open, self.needed = self.open + 1, self.needed + 1

    def need_again(self) -> None:
        """Have a shard that runs for somebody again."""
        self.needed += 1

    def close(self, shard: ShardRecord) -> None:
        """Have a shard that runs no longer."""
        self.tally.close(shard.rest.left, shard.state)
        shard.rest.have_left({})
        self.open -= 1
        self.needed -= shard.alive > 0 or not shard.outputs  # a joining one makes nothing, ever

    def disown(self) -> bool:
        """Have a shard that runs for nobody; tell whether others run for somebody."""
        self.needed -= 1
        self.has_orders |= self.needed > 0
        return self.needed > 0

    def lose_objects(self) -> list[str]:
        """Have a shard without objects; when it was the last, give the names of the stage's own."""
        self.kept -= 1
        own = [self.pack, *([self.orders] if self.has_orders else [])]
        return own if not self.kept else []
