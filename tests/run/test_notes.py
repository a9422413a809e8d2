"""Every kind of object beside the packs and manifests: it comes back, or it is refused in words."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import CorruptObjectError, RunFormatError, StoreError
from dask_knot.run import note, record
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Place
from dask_knot.run.maps import MapRecord, PlaceTable
from dask_knot.run.names import StageId
from dask_knot.run.note import NoteKind
from dask_knot.run.obituary import Obituary
from dask_knot.run.orders import Claimant, Orders
from dask_knot.run.presence import Beat, Presence, RunInfo, SessionInfo
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts, merge
from dask_knot.run.record import NO_DIGEST, PlanRecord, RecordedStage, ScatterRecord

NAME = "run/an object"
Frames = Iterable[Bytes]


class ObjectKind(NamedTuple):
    """A kind of object: an example, and what writes and reads one."""

    example: Any
    encode: Callable[[Any], Frames]
    decode: Callable[[str, Bytes], Any]


def noted(kind: NoteKind) -> tuple[Callable[[Any], Frames], Callable[[str, Bytes], Any]]:
    """Give what writes and reads a note that has no type of its own."""
    return (lambda fields: note.encode(kind, fields)), lambda n, data: note.decode(kind, n, data)


STAGE = RecordedStage([StageId(3, 0)], {"add": 2}, 1.0, None, 0, (1, 1), (1, 1))
PLAN = PlanRecord(
    7, 1.5, [STAGE], ["a", ("b", 0)], bytes(range(16)) + NO_DIGEST, (1,), {"add": b"c"}
)
SCATTERED = ScatterRecord(0, 2.5, {"x": Place("run/scattered/0", 0, 8)}, {"x": b"d" * 16})
TAKEN = PlaceTable()
TAKEN.put(2, Place("run/data/7f/0000000000-000-00000.000a1", 64, 8))
TAKEN.put(0, Place("run/manifests/0000000000-000/00000.end", 0, 16))
KINDS = {
    "run": ObjectKind(RunInfo(1.0, "ada@host", "aws", "1.0"), RunInfo.encode, RunInfo.decode),
    "session": ObjectKind(
        SessionInfo("ada", "host", "boot-1", 12, 3.5, "aws", 4.5, {"python": "3.12"}),
        SessionInfo.encode,
        SessionInfo.decode,
    ),
    "beat": ObjectKind(Beat(3, Presence.LEFT, 15.0), Beat.encode, Beat.decode),
    "obituary": ObjectKind(
        Obituary("KILLED", "JobMemoryError", "too large", "job:3", "OOM", ("a", "b"), b"\0pickled"),
        Obituary.encode,
        Obituary.decode,
    ),
    "profile": ObjectKind(
        Profile({ProfileKey("add", b"code"): TaskCosts(2, 3.0, 5.0, 2.0, 80, 2, 2**30, 1)}),
        Profile.encode,
        Profile.decode,
    ),
    "orders": ObjectKind(Orders(frozenset([1, 300]), frozenset([7])), Orders.encode, Orders.decode),
    "claim": ObjectKind(Claimant.CHILD, Claimant.encode, Claimant.decode),
    "map": ObjectKind(
        MapRecord("pi-3", 2, 1.5, 3, None, "pi", "ab12", True, ("HOME",), b"\0pickled", "it ended"),
        MapRecord.encode,
        MapRecord.decode,
    ),
    "taken": ObjectKind(TAKEN, PlaceTable.encode, PlaceTable.decode),
    "jobs": ObjectKind({"jobs": {0: "job", 1: "other"}}, *noted(NoteKind.JOBS)),
    "published": ObjectKind({"name": "a/b", "data": b"\0"}, *noted(NoteKind.PUBLISHED)),
    "why": ObjectKind({"data": b"\0components"}, *noted(NoteKind.WHY)),
    "plan": ObjectKind(PLAN, record.encode, record.decode),
    "scattered": ObjectKind(SCATTERED, record.encode, record.decode),
}


def written(kind: ObjectKind) -> bytes:
    """Write the example."""
    return b"".join(kind.encode(kind.example))


#: How large the heads of notes and entries are, without the checksum behind them.
HEADS = {b"KO": 10, b"KR": 22}


def sealed(data: bytes) -> bytes:
    """Give bytes the checksum that they should have: of which bytes it is never changes."""
    size = HEADS[data[:2]]
    checksum = zlib.crc32(data[size + 4 :], zlib.crc32(data[:size]))
    return data[:size] + struct.pack("<I", checksum) + data[size + 4 :]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> ObjectKind:
    return KINDS[request.param]


class TestEveryKind:
    def test_it_comes_back(self, kind: ObjectKind) -> None:
        assert plain(kind.decode(NAME, written(kind))) == plain(kind.example)
        assert plain(kind.decode(NAME, memoryview(written(kind)))) == plain(kind.example)

    def test_it_is_missed_wherever_it_is_cut_off(self, kind: ObjectKind) -> None:
        good = written(kind)
        for length in range(len(good)):
            with pytest.raises(CorruptObjectError, match=NAME):
                kind.decode(NAME, good[:length])
        with pytest.raises(CorruptObjectError, match=NAME):
            kind.decode(NAME, good + b"\0")

    def test_every_flipped_bit_is_noticed(self, kind: ObjectKind) -> None:
        good = written(kind)
        for position in range(8 * len(good)):
            bad = bytearray(good)
            bad[position // 8] ^= 1 << position % 8
            with pytest.raises(CorruptObjectError, match=NAME):
                kind.decode(NAME, bytes(bad))

    @pytest.mark.parametrize("version", [0, 2, 256, 65535])
    def test_another_version_is_told_from_damage(self, kind: ObjectKind, version: int) -> None:
        good = written(kind)
        data = good[:2] + struct.pack("<H", version) + good[4:]
        with pytest.raises(RunFormatError, match=rf"{NAME} .*format {version}; this one reads 1"):
            kind.decode(NAME, sealed(data))

    @pytest.mark.parametrize("strange", [b"", b"x", b"somebody's notes" * 9, b"KV" + bytes(50)])
    def test_something_else_is_refused(self, kind: ObjectKind, strange: bytes) -> None:
        with pytest.raises(CorruptObjectError, match=NAME):
            kind.decode(NAME, strange)

    def test_other_kinds_are_refused(self, kind: ObjectKind) -> None:
        for other in KINDS.values():
            is_entry = {kind.decode, other.decode} == {record.decode}
            if other is not kind and not is_entry:
                with pytest.raises(CorruptObjectError, match=NAME):
                    kind.decode(NAME, written(other))

    @given(st.binary(max_size=60))
    def test_nonsense_with_a_right_checksum_is_refused(self, body: bytes) -> None:
        for kind in KINDS.values():
            good = written(kind)
            lengths = struct.pack("<I" if good[:2] == b"KO" else "<Q", len(body))
            head = (good[:6] + lengths).ljust(HEADS[good[:2]] + 4, b"\0")
            with suppress(StoreError):  # by accident it may make sense
                kind.decode(NAME, sealed(head + body))


SLOTS = RecordedStage.__slots__


def plain(content: Any) -> Any:
    """Give something that can be compared: keys that are packed are equal to those that aren't."""
    if not isinstance(content, PlanRecord):
        return content
    names = [name for name in PlanRecord.__slots__ if name not in ("keys", "stages")]
    stages = [
        [
            tuple(v) if isinstance(v, list) else v
            for v in map(stage.__getattribute__, stage.__slots__)
        ]
        for stage in content.stages
    ]
    return [list(content.keys), stages, *(getattr(content, name) for name in names)]


TEXT = st.text(st.characters(), max_size=20)  # with surrogates, as names of files may have them
NUMBERS = st.floats(allow_nan=False)
SIZES = st.integers(0, 2**62)
OBITUARIES = st.builds(
    Obituary, TEXT, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT).map(tuple), st.binary()
)
SESSIONS = st.builds(
    SessionInfo, TEXT, TEXT, TEXT, SIZES, NUMBERS, TEXT, NUMBERS, st.dictionaries(TEXT, TEXT)
)
COSTS = st.builds(
    TaskCosts,
    *(st.integers(0, 2**30), st.integers(0, 2**20), st.integers(0, 2**20), st.integers(0, 2**20)),
    *(st.integers(0, 2**40), st.integers(0, 2**30), st.integers(0, 2**40), st.integers(0, 2**20)),
)
PROFILES = st.builds(
    Profile, st.dictionaries(st.builds(ProfileKey, TEXT, st.binary(max_size=16)), COSTS)
)


@given(st.one_of(OBITUARIES, SESSIONS, PROFILES, st.builds(RunInfo, NUMBERS, TEXT, TEXT, TEXT)))
def test_whatever_they_say_comes_back(content: Any) -> None:
    assert type(content).decode(NAME, b"".join(content.encode())) == content


def test_the_spread_of_seconds_can_be_told() -> None:
    costs = TaskCosts(4, 10.0, 30.0, 4.0)  # 1, 2, 3, 4
    assert costs.mean == 2.5
    assert costs.deviation == pytest.approx(1.118034)
    assert TaskCosts().mean == TaskCosts().deviation == 0.0


@given(st.lists(PROFILES, max_size=4))
def test_profiles_add_up_in_any_order(profiles: list[Profile]) -> None:
    found = merge(profiles)
    assert merge(reversed(profiles)) == found
    assert merge([merge(profiles[:2]), merge(profiles[2:])]) == found
    for name in ("tasks", "seconds", "nbytes", "shards"):
        every = [getattr(costs, name) for profile in profiles for costs in profile.costs.values()]
        assert sum(getattr(costs, name) for costs in found.costs.values()) == sum(every)
    peaks = [costs.peak for profile in profiles for costs in profile.costs.values()]
    assert max((costs.peak for costs in found.costs.values()), default=0) == max(peaks, default=0)
