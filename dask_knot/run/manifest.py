"""The manifest, which a child writes after tasks: the commit of a shard, or of a part of it.

A manifest is ``HEAD · index · small values``. The index is msgpack; HEAD has its length and
checksum; small values and failures have checksums of their own, so that one that is damaged takes
no other along. Places count from the start of the object.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from typing import NamedTuple

import msgpack
from dask.typing import Key

from dask_knot.collector import paused_collector
from dask_knot.errors import CorruptObjectError
from dask_knot.run.codec import Bytes
from dask_knot.run.keys import KeyList
from dask_knot.run.machine import UNKNOWN, Machine

VERSION = 5
#: Values up to this size ride in the manifest itself.
INLINE_BYTES = 64 * 1024

_HEAD = struct.Struct("<2sBxII")
_MAGIC = b"KM"


class Kind(IntEnum):
    """The end of a task that makes an output."""

    FINISHED = 0
    ERRED = 1


class Place(NamedTuple):
    """A range of bytes in an object."""

    name: str
    offset: int
    length: int


#: Instead of a name: it is inside the manifest that says so.
INSIDE = ""
#: The place of what has no bytes.
NOWHERE = Place("", 0, 0)


class Output(NamedTuple):
    """One value that left a shard, or the error that stands for it.

    `ordinal` counts the shard's outputs; `nbytes` is the value's size in memory, `start` and
    `stop` are seconds since the epoch; `type` indexes `Manifest.types`.
    """

    ordinal: int
    kind: Kind
    place: Place
    nbytes: int
    type: int
    start: float
    stop: float


@dataclass(slots=True)
class Work:
    """The cost of the tasks of one prefix: how many ran, and their seconds.

    `values` of them left the shard, with so many bytes in memory; `erred` of them raised. `squares`
    is the sum of the squares of each one's seconds, `longest` the seconds of the longest. `peak` is
    the most bytes that the job's process had while they ran, 0 if that isn't known; `cpu` their
    seconds of processor time. `startup` are the seconds that the first time took longer of tasks
    that ran twice: those of one prefix in a job, if it only tries them.
    """

    tasks: int = 0
    seconds: float = 0.0
    nbytes: int = 0
    values: int = 0
    erred: int = 0
    squares: float = 0.0
    longest: float = 0.0
    peak: int = 0
    cpu: float = 0.0
    startup: float = 0.0


@dataclass(frozen=True, slots=True)
class Handed:
    """The tasks that a shard has given up, for clients to plan again.

    Attributes
    ----------
    outputs : sequence of int
        The shard's outputs that it doesn't make any more, by their ordinals.
    tasks : mapping of str to int
        How many tasks it has given up, by the prefix of their keys.
    extra : sequence of Key
        Tasks that it keeps, or has run, whose values are no outputs, but are read by what was
        given up. They are outputs behind all others: the first one's ordinal is the number of the
        shard's own outputs. Those that have run by then are in the part that says this; others
        follow as outputs do. (Unpacked when somebody looks.)
    """

    outputs: Sequence[int]
    tasks: Mapping[str, int]
    extra: Sequence[Key] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The outcome of a shard's tasks.

    Attributes
    ----------
    final : bool
        Whether the shard is done: then `outputs` has all of its outputs, those of parts included.
    outputs : sequence of Output
        What is committed.
    types : sequence of (bytes, str)
        The pickled types of values, and their names.
    work : mapping of str to Work
        Per key prefix what ran since the manifest before.
    times : bytes
        Start and stop of each task that ran since then, in the order of their ends: float64 pairs.
    kinds : bytes
        What each pair belongs to, as uint32: twice the place of its prefix in `work`, +1 if raised.
    requests : mapping of str to int
        How often the child has asked the store, by operation, this manifest included.
    moved : mapping of str to int
        Bytes that the child has ``read`` and ``written`` since the manifest before, those of the
        small values in this one included.
    lost : mapping of int to sequence of str
        Outputs that erred only because something that they need can't be read any more, by their
        ordinals: the names of the objects that are gone or damaged.
    peak : int
        The bytes of memory that the job has had at most so far.
    machine : Machine
        Where it runs.
    started : float
        When the job's program began, in seconds since the epoch; 0 if nobody knows.
    handed : Handed, optional
        What the shard doesn't run any more, unless no client claims it. A shard hands over once;
        the manifest of the part says so, and the last one if a client has claimed it.
    reserved : int
        The bytes that the job's process had before its first task.
    """

    final: bool
    attempt: int
    outputs: Sequence[Output]
    types: Sequence[tuple[bytes, str]] = ()
    work: Mapping[str, Work] = field(default_factory=dict)
    times: bytes = b""
    kinds: bytes = b""
    requests: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[int, Sequence[str]] = field(default_factory=dict)
    peak: int = 0
    machine: Machine = UNKNOWN
    started: float = 0.0
    handed: Handed | None = None
    reserved: int = 0


class Commit(NamedTuple):
    """A manifest as it stands in the store: its name, what it says, and its bytes."""

    name: str
    manifest: Manifest
    data: memoryview

    def inside(self, place: Place) -> memoryview | None:
        """Give the bytes at a place, if that is inside the manifest."""
        return self.data[place.offset :][: place.length] if place.name == self.name else None


def encode(manifest: Manifest, inline: Sequence[Bytes]) -> list[Bytes]:
    """Write a manifest.

    Parameters
    ----------
    manifest : Manifest
        Outputs at a place without a name are inside, at offsets that count from the first of
        `inline`.
    inline : sequence of bytes-like
        The small values, one after another.
    """
    objects: dict[str, int] = {INSIDE: 0}
    rows = []
    for ordinal, kind, place, *rest in manifest.outputs:
        number = objects.setdefault(place.name, len(objects))
        rows.append((ordinal, int(kind), number, place.offset, place.length, *rest))
    index = msgpack.packb(
        {
            "final": manifest.final,
            "attempt": manifest.attempt,
            "objects": list(objects)[1:],
            "outputs": rows,
            "types": list(manifest.types),
            "work": {prefix: astuple(work) for prefix, work in manifest.work.items()},
            "times": manifest.times,
            "kinds": manifest.kinds,
            "requests": dict(manifest.requests),
            "moved": dict(manifest.moved),
            "lost": dict(manifest.lost),
            "peak": manifest.peak,
            "machine": tuple(manifest.machine),
            "started": manifest.started,
            "handed": _handed_row(manifest.handed),
            "reserved": manifest.reserved,
        }
    )
    return [_HEAD.pack(_MAGIC, VERSION, len(index), zlib.crc32(index)), index, *inline]


def placed(name: str, outputs: Iterable[Output], frames: Sequence[Bytes]) -> list[Output]:
    """Say where outputs are, now that the manifest is the object `name`, made of `frames`."""
    head, index, *_ = frames
    start = len(head) + len(index)
    return [
        output._replace(place=Place(name, output.place.offset + start, output.place.length))
        if output.place.name == INSIDE
        else output
        for output in outputs
    ]


def decode(name: str, data: Bytes) -> Manifest:
    """Read the manifest that is the object `name`.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    """
    view = memoryview(data)
    if view.nbytes < _HEAD.size:
        raise CorruptObjectError(f"the manifest {name} was cut off at {view.nbytes} bytes")
    magic, version, length, checksum = _HEAD.unpack_from(view)
    index = view[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or version != VERSION or zlib.crc32(index) != checksum:
        raise CorruptObjectError(
            f"the manifest {name} is damaged, or from another version of dask_knot (format "
            f"{version}; this one reads {VERSION})"
        )
    try:
        return _decode(name, index)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise CorruptObjectError(f"the manifest {name} can't be decoded: {error!r}") from error


@paused_collector()  # it tells of thousands of keys
def _decode(name: str, index: memoryview) -> Manifest:
    fields = msgpack.unpackb(index, strict_map_key=False, use_list=False)
    objects = (name, *fields["objects"])
    inline, kinds = _HEAD.size + index.nbytes, {int(kind): kind for kind in Kind}
    outputs = [
        Output(
            ordinal,
            kinds[kind],
            Place(objects[number], offset + (0 if number else inline), size),
            *rest,
        )
        for ordinal, kind, number, offset, size, *rest in fields["outputs"]
    ]
    return Manifest(
        fields["final"],
        fields["attempt"],
        outputs,
        fields["types"],
        {prefix: Work(*row) for prefix, row in fields["work"].items()},
        fields["times"],
        fields["kinds"],
        fields["requests"],
        fields["moved"],
        fields["lost"],
        fields["peak"],
        Machine(*fields["machine"]),
        fields["started"],
        _handed(*fields["handed"]) if fields["handed"] else None,
        fields["reserved"],
    )


def _handed_row(handed: Handed | None) -> tuple[object, ...] | None:
    if handed is None:
        return None
    extra = KeyList.of(handed.extra)
    return list(handed.outputs), dict(handed.tasks), extra.packed, len(extra)


def _handed(outputs: Sequence[int], tasks: Mapping[str, int], extra: bytes, length: int) -> Handed:
    return Handed(outputs, tasks, KeyList(extra, length))
