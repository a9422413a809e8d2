"""The tracker's memory: small records, each written by itself only, in the moves of `moves`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dask.typing import Key

from dask_knot.run.manifest import Output
from dask_knot.run.names import ShardId
from dask_knot.tracking import moves
from dask_knot.tracking.belongings import Belongings
from dask_knot.tracking.events import Graph
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent, ShardState
from dask_knot.tracking.remainder import Remainder


@dataclass(slots=True, eq=False)
class KeyRecord:
    """A key whose value the client wants, or that one shard makes for another.

    Attributes
    ----------
    graph : Graph, optional
        Has its task, to make it (again); None for a scattered value.
    is_wanted, is_known : bool
        Dask holds it, or waits for it; Dask may ask for it (again).
    arriving : int
        How many graphs that want it were submitted, but not yet taken by Dask.
    readers, attempts : int
        How many unfinished shards, and drafts, read it; how often its job was lost.
    asked, is_answered : int, optional; bool
        The run id of Dask's question that is open; Dask was told the present outcome.
    draft : object, optional
        The `Draft` in which it waits to be planned: which one it is is all that counts here.
    shard, ordinal : ShardRecord, optional; int
        What makes or made it, and the number of the output.
    digest : bytes, optional
        That of its content, or of the work that its shard does or did for it.
    is_left : bool
        Its client went away, and it is still being made, for whoever comes back.
    """

    key: Key
    graph: Graph | None
    state: KeyState = field(default=KeyState.GONE, init=False)
    is_wanted: bool = False
    arriving: int = 0
    is_known: bool = False
    readers: int = 0
    asked: int | None = None
    is_answered: bool = False
    attempts: int = 0
    draft: object | None = None
    shard: ShardRecord | None = None
    ordinal: int = 0
    output: Output | None = None
    type: tuple[bytes, str] = (b"", "")
    error: Exception | None = None
    digest: bytes | None = None
    is_left: bool = False

    @property
    def is_needed(self) -> bool:
        """Dask or a shard still needs the value, or it is made for whoever comes back."""
        return self.is_wanted or self.readers > 0 or self.arriving > 0 or self.is_left

    @property
    def work(self) -> bytes | None:
        """The digest of the work that makes it, if there is one."""
        return self.digest if self.graph is None else self.graph.digests.get(self.key)

    def move(self, event: KeyEvent) -> bool:
        """Take the state that follows an event; tell whether it is another one."""
        old, self.state = self.state, moves.KEY_MOVES[self.state][event]
        if self.state is old:
            return False
        if self.state is KeyState.WAITING:
            self.output, self.error, self.is_answered = None, None, False
        return True

    def is_late(self, event: KeyEvent) -> bool:
        """Tell whether an event comes when it changes nothing any more."""
        return moves.KEY_MOVES[self.state][event] is self.state

    def want(self, graph: Graph, is_held: bool) -> bool:
        """Be wanted by a graph that was submitted; tell whether it has to be made for that."""
        if self.graph is not graph:
            self.made_by(graph)
        self.is_wanted = True
        self.is_known |= not is_held
        self.arriving += is_held
        return self.move(KeyEvent.WANTED)

    def take(self, graph: Graph, is_taken: bool) -> None:
        """Be held by Dask for a graph that was submitted; or not, if Dask didn't take it."""
        self.move(KeyEvent.TAKEN)
        self.arriving -= 1
        if is_taken and self.graph is not graph:
            self.made_by(graph)
        self.is_wanted = self.is_known = is_taken

    def ask(self, run_id: int) -> bool:
        """Be asked for by Dask; tell whether it has to be made for that."""
        self.is_wanted, self.is_known, self.asked = True, True, run_id
        return self.move(KeyEvent.ASKED)

    def note_answer(self) -> None:
        """Note that Dask was told what has become of it."""
        self.asked, self.is_answered = None, True

    def release(self, is_forgotten: bool, is_left: bool = False) -> None:
        """Be held by Dask no longer; if its client just left, be made all the same."""
        self.move(KeyEvent.RELEASED)
        self.is_left |= is_left and self.is_wanted and self.is_awaited
        self.is_wanted, self.is_known, self.asked = False, not is_forgotten, None

    @property
    def is_awaited(self) -> bool:
        """It has no outcome yet."""
        return self.state in (KeyState.WAITING, KeyState.PLANNED)

    def made_by(self, graph: Graph) -> None:
        """Make it by another graph from now on, unless Dask keeps what the present one reads."""
        # Dask never changes what a key that it knows depends on.
        if self.graph is None or not self.is_known:
            self.graph = graph

    def start_over(self, event: KeyEvent, is_counted: bool = False) -> None:
        """Wait to be made again; an attempt that counts is one that may be its own fault."""
        self.move(event)
        self.attempts += is_counted

    def recall(self, digest: bytes | None) -> None:
        """Wait for what another session was asked for; nobody here has its task."""
        self.move(KeyEvent.NEEDED)
        self.digest = digest

    def scatter(self, group: ShardRecord, output: Output) -> None:
        """Be a value that the client stored, and holds."""
        self.move(KeyEvent.SCATTERED)
        self.shard, self.output = group, output
        group.add_output(self)
        self.is_wanted = self.is_known = self.is_answered = True

    def join(self, draft: object) -> None:
        """Wait in a draft."""
        self.draft = draft

    def plan(self, shard: ShardRecord, work: bytes | None) -> None:
        """Be the next output of a shard, made by the work of that digest."""
        self.move(KeyEvent.PLANNED)
        self.digest = work
        self.draft, self.shard, self.ordinal = None, shard, shard.add_output(self)

    def stay(self, shard: ShardRecord, ordinal: int) -> None:
        """Be a value that was inside a shard, until that handed over what reads it."""
        self.move(KeyEvent.PLANNED)
        self.digest = self.work
        self.draft, self.shard, self.ordinal = None, shard, ordinal
        shard.add_extra(self, ordinal)

    def adopt(self, shard: ShardRecord, ordinal: int) -> None:
        """Be an output that a shard of another plan was recorded to make."""
        self.move(KeyEvent.PLANNED)
        self.digest = self.work
        self.draft, self.shard, self.ordinal = None, shard, ordinal
        shard.give_output(self, ordinal)

    def find(self, event: KeyEvent, output: Output, type: tuple[bytes, str] | None) -> bool:
        """Have the outcome that a manifest tells of, unless it is late; a failure has no type."""
        if is_new := self.move(event):
            self.output, self.type, self.is_left = output, type or self.type, False
        return is_new

    def fail(self, event: KeyEvent, error: Exception) -> None:
        """Have an error in the place of a value."""
        self.move(event)
        self.error, self.output, self.is_answered, self.draft = error, None, False, None
        self.is_left = False

    def go(self) -> None:
        """Have no value any more, since nobody needs it."""
        self.move(KeyEvent.UNNEEDED)
        self.output, self.error, self.draft, self.attempts = None, None, None, 0

    def leave_shard(self) -> ShardRecord | None:
        """Have nothing more to do with the shard that makes it or made it, which is given."""
        shard, self.shard = self.shard, None
        if shard is not None:
            shard.lose_output()
        return shard

    def take_place_of(self, old: KeyRecord) -> None:
        """Be what Dask and its clients mean by the key from now on."""
        old.move(KeyEvent.REPLACED)
        self.is_wanted, self.is_known, self.asked = old.is_wanted, old.is_known, old.asked
        self.arriving, old.arriving = old.arriving, 0
        old.is_wanted, old.is_known, old.asked, old.draft = False, False, None, None

    def count_readers(self, more: int) -> None:
        """Have so many readers more, or less."""
        self.readers += more


@dataclass(slots=True, eq=False)
class ShardRecord:
    """A shard that was planned, or a group of scattered values that share an object.

    Attributes
    ----------
    size, width, rest : int, int, Remainder
        How many tasks it has, and outputs that it was planned to make; what isn't known to be done.
    alive, own : int, Belongings
        How many of its outputs are needed; what it has in the store.
    is_adopted, opening : bool, int
        Another session planned it, or it is looked at once more; which of all openings that was.
    twins : tuple of KeyRecord
        The last of its outputs that others are as well: the same work under two names.
    extras : dict of int to KeyRecord
        Values that were inside of it until it handed over what reads them, by ordinal.
    """

    id: ShardId | None
    size: int
    state: ShardState = field(default=ShardState.OPEN, init=False)
    outputs: list[KeyRecord] = field(default_factory=list)
    inputs: list[KeyRecord] = field(default_factory=list)
    alive: int = 0
    own: Belongings = field(default_factory=Belongings)
    width: int = 0
    rest: Remainder = field(default_factory=Remainder)
    is_adopted: bool = False
    opening: int = 0
    twins: tuple[KeyRecord, ...] = ()
    extras: dict[int, KeyRecord] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """It is planned, submitted or running."""
        return self.state is ShardState.OPEN

    def move(self, event: ShardEvent) -> None:
        """Take the state that follows an event."""
        self.state = moves.SHARD_MOVES[self.state][event]

    def is_late(self, event: ShardEvent) -> bool:
        """Tell whether an event comes when nothing follows from it any more."""
        return moves.SHARD_MOVES[self.state][event] is self.state

    def add_output(self, record: KeyRecord) -> int:
        """Have one output more, which is needed; give its number."""
        self.outputs.append(record)
        self.alive += 1
        return len(self.outputs) - 1

    def reopen(self, event: ShardEvent, size: int, opening: int) -> None:
        """Be looked at once more, for what it has written or still may write."""
        self.move(event)
        self.is_adopted, self.size, self.opening = True, size, opening
        self.own.come_back()

    def reserve(self, outputs: int) -> None:
        """Have so many outputs, most of which nobody here needs."""
        self.width = outputs
        while len(self.outputs) < outputs:
            self.outputs.append(KeyRecord("", None))

    def give_output(self, record: KeyRecord, ordinal: int) -> None:
        """Make an output for another key than before, for one again, or for one more."""
        before = self.outputs[ordinal]
        is_free = before is record or before.shard is not self
        if is_free and record not in self.twins:
            self.outputs[ordinal] = record
        elif record not in self.twins:
            self.outputs, self.twins = [*self.outputs, record], (*self.twins, record)
        self.alive += 1

    def lose_output(self) -> None:
        """Have an output that is needed no more, or made elsewhere."""
        self.alive -= 1

    def add_extra(self, record: KeyRecord, ordinal: int) -> None:
        """Have one value more, of a task that it has kept for what it handed over."""
        self.add_output(record)
        self.extras[ordinal] = record

    def output(self, ordinal: int) -> KeyRecord | None:
        """Find what has an ordinal; None if nobody here asked for it."""
        return self.outputs[ordinal] if ordinal < self.width else self.extras.get(ordinal)

    def read(self, record: KeyRecord) -> None:
        """Have one input more."""
        self.inputs.append(record)
        record.count_readers(1)

    def leave_inputs(self) -> list[KeyRecord]:
        """Read nothing any more; give what was read, which has a reader less each."""
        inputs, self.inputs = self.inputs, []
        return inputs
