"""The record of a named run: what was planned, before it was submitted; and what was scattered.

An entry is ``HEAD · body · keys``. HEAD has the kind of entry, the format's version, the lengths of
both, and a checksum of all; they are msgpack, compressed. The keys stand apart, as they are read
only when somebody asks for a key by its name. HEAD and checksum stay the same in every version, so
that an entry of another version is told from one that is damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from itertools import accumulate

import msgpack
from dask.typing import Key

from dask_knot.errors import CorruptObjectError, RunFormatError
from dask_knot.run.codec import Bytes
from dask_knot.run.keys import UNICODE, KeyList
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId

VERSION = 1
#: Bytes of a digest of work.
DIGEST_BYTES = 16
#: Instead of a digest: the work can't be digested, or must be done anew.
NO_DIGEST = bytes(DIGEST_BYTES)

#: What the checksum is of, but for body and keys.
_START = struct.Struct("<2sHBxQQ")
_CHECKSUM = struct.Struct("<I")
_BODY = _START.size + _CHECKSUM.size
_MAGIC = b"KR"
#: What reading a body raises that says something else than was meant.
_NONSENSE = (ValueError, TypeError, LookupError, zlib.error, msgpack.UnpackException)


class EntryKind(IntEnum):
    """The kinds of entries."""

    PLAN = 0
    SCATTERED = 1


@dataclass(frozen=True, slots=True)
class RecordedStage:
    """A stage of a plan as it is recorded.

    Attributes
    ----------
    depends_on : sequence of StageId
        Stages of this plan, or of others, that it waits for.
    tasks : mapping of str to int
        How many tasks have which key prefix.
    vcpus, memory, gpus : float, int or None, int
        What each of its jobs has.
    outputs : sequence of int
        How many outputs each shard has.
    sizes : sequence of int
        How many tasks each shard has: so that progress can be told from the names of manifests.
    """

    depends_on: Sequence[StageId]
    tasks: Mapping[str, int]
    vcpus: float
    memory: int | None
    gpus: int
    outputs: Sequence[int]
    sizes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A plan, as it is recorded before its stages are submitted.

    Outputs are numbered through the whole plan: those of the first shard of the first stage come
    first.

    Attributes
    ----------
    number : int
        The plan's number; the session that made it is this divided by `PLANS_PER_SESSION`.
    made : float
        When, in seconds since the epoch, by the clock of its client.
    stages : sequence of RecordedStage
        Its stages.
    keys : sequence of Key
        Those of all outputs.
    digests : bytes
        The digests of all outputs, `DIGEST_BYTES` each; `NO_DIGEST` if there is none.
    wanted : sequence of int
        The numbers of the outputs that a client asked for.
    codes : mapping of str to bytes
        The digest of the code of the tasks, by key prefix.
    limits : mapping of str to float
        What the planner kept to.
    """

    number: int
    made: float
    stages: Sequence[RecordedStage]
    keys: Sequence[Key]
    digests: bytes
    wanted: Sequence[int]
    codes: Mapping[str, bytes] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    def digest(self, output: int) -> bytes:
        """Give the digest of an output."""
        return self.digests[output * DIGEST_BYTES : (output + 1) * DIGEST_BYTES]

    def starts(self) -> list[int]:
        """Number the first output of each shard, of all stages one after another."""
        counts = [count for stage in self.stages for count in stage.outputs]
        return [0, *accumulate(counts)][:-1]


@dataclass(frozen=True, slots=True)
class ScatterRecord:
    """Values that a client stored itself.

    Attributes
    ----------
    session : int
        The number of the session that did.
    made : float
        When, in seconds since the epoch.
    places : mapping of Key to Place
        Where they are.
    digests : mapping of Key to bytes
        Digests of their contents, as far as there are any.
    """

    session: int
    made: float
    places: Mapping[Key, Place]
    digests: Mapping[Key, bytes] = field(default_factory=dict)


Entry = PlanRecord | ScatterRecord


def pieces(digests: bytes) -> list[bytes]:
    """Split digests that stand one after another."""
    return [digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES)]


def encode(entry: Entry) -> list[Bytes]:
    """Write an entry."""
    if isinstance(entry, PlanRecord):
        keys = entry.keys if isinstance(entry.keys, KeyList) else KeyList.of(entry.keys)
        stages = [
            (
                [astuple(id) for id in stage.depends_on],
                dict(stage.tasks),
                stage.vcpus,
                stage.memory,
                stage.gpus,
                list(stage.outputs),
                list(stage.sizes),
            )
            for stage in entry.stages
        ]
        kind, packed = EntryKind.PLAN, keys.packed
        body = {
            "number": entry.number,
            "made": entry.made,
            "stages": stages,
            "length": len(keys),
            "digests": entry.digests,
            "wanted": list(entry.wanted),
            "codes": dict(entry.codes),
            "limits": dict(entry.limits),
        }
    else:
        kind, packed = EntryKind.SCATTERED, KeyList.of(list(entry.places)).packed
        body = {
            "session": entry.session,
            "made": entry.made,
            "places": [tuple(place) for place in entry.places.values()],
            "digests": [entry.digests.get(key, b"") for key in entry.places],
        }
    data = zlib.compress(msgpack.packb(body, unicode_errors=UNICODE), 1)
    start = _START.pack(_MAGIC, VERSION, kind, len(data), len(packed))
    return [start, _CHECKSUM.pack(_checksum(start, data, packed)), data, packed]


def decode(name: str, data: Bytes) -> Entry:
    """Read the entry that is the object `name`.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    RunFormatError
        If they are, by another version of dask_knot.
    """
    view = memoryview(data)
    if view.nbytes < _BODY:
        raise CorruptObjectError(f"the entry {name} of a record was cut off at {view.nbytes} bytes")
    magic, version, kind, length, keys_length = _START.unpack_from(view)
    (checksum,) = _CHECKSUM.unpack_from(view, _START.size)
    body, packed = view[_BODY:][:length], view[_BODY + length :]
    is_whole = magic == _MAGIC and packed.nbytes == keys_length
    if not is_whole or _checksum(view[: _START.size], body, packed) != checksum:
        raise CorruptObjectError(f"the entry {name} of a record is damaged, or was cut off")
    if version != VERSION:
        raise RunFormatError(
            f"the entry {name} of a record was written by another version of dask_knot (format "
            f"{version}; this one reads {VERSION}): use that version, or another name for the run"
        )
    try:
        return _decode(EntryKind(kind), zlib.decompress(body), bytes(packed))
    except _NONSENSE as error:
        raise CorruptObjectError(
            f"the entry {name} of a record can't be decoded: {error!r}"
        ) from error


def _decode(kind: EntryKind, body: bytes, packed: bytes) -> Entry:
    fields = msgpack.unpackb(body, use_list=False, unicode_errors=UNICODE)
    if kind is EntryKind.SCATTERED:
        keys = KeyList(packed, len(fields["places"]))
        places = dict(zip(keys, (Place(*place) for place in fields["places"]), strict=True))
        digests = {k: d for k, d in zip(keys, fields["digests"], strict=True) if d}
        return ScatterRecord(fields["session"], fields["made"], places, digests)
    stages = [
        RecordedStage([StageId(*id) for id in depends_on], *rest)
        for depends_on, *rest in fields["stages"]
    ]
    made = PlanRecord(
        fields["number"],
        fields["made"],
        stages,
        KeyList(packed, fields["length"]),
        fields["digests"],
        fields["wanted"],
        fields["codes"],
        fields["limits"],
    )
    outputs = sum(count for stage in stages for count in stage.outputs)
    if not outputs == len(made.keys) == len(made.digests) / DIGEST_BYTES:
        raise ValueError(f"{outputs} outputs have {len(made.keys)} keys")
    return made


def _checksum(*parts: Bytes) -> int:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum
