"""One contract of a named run's record over every kind of store, and what may be wrong with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    RunDeletedError,
    RunError,
    StoreError,
)
from dask_knot.run import note
from dask_knot.run.archive import Archive
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Manifest, Place
from dask_knot.run.names import PLANS_PER_SESSION, ManifestId, ShardId, StageId, first_plan
from dask_knot.run.obituary import Obituary
from dask_knot.run.presence import Beat, Presence, RunInfo, SessionInfo
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.run.record import ScatterRecord
from dask_knot.run.run import Run
from dask_knot.run.store import Store

INFO = RunInfo(1.0, "ada@host", "local", "1.0")
OTHER_INFO = RunInfo(2.0, "bob@host", "local", "1.0")
WHO = SessionInfo("ada", "host", "boot-1", 12, 3.5, "local", 4.5, {"python": "3.12"})
SHARD = ShardId(StageId(1, 0), 3)
END = Obituary("KILLED", "JobMemoryError", "too large", "job:3", "OOM", ("a", "b"), b"\0")


def entry(number: int) -> ScatterRecord:
    """Make an entry that differs from others."""
    return ScatterRecord(0, float(number), {"x": Place("a-run/scattered/0", 0, number)})


@pytest.fixture
def run(store: Store) -> Run:
    """Open a run that keeps a record."""
    run = Run(store, "a-run")
    run.record.found(INFO)
    return run


@pytest.fixture
def archive(run: Run) -> Archive:
    return run.record


@pytest.fixture
def memory() -> Run:
    """Open a run that keeps a record in memory."""
    run = Run(Store("memory://"), "a-run")
    run.record.found(INFO)
    return run


class TestEveryStore:
    def test_sessions_say_who_they_are(self, run: Run, archive: Archive) -> None:
        assert archive.list_sessions() == []
        assert run.claim_session(WHO) == 0
        assert run.claim_session() == PLANS_PER_SESSION
        assert archive.claim(WHO) == 2
        assert archive.list_sessions() == [0, 1, 2]
        assert archive.read_session(0) == WHO
        with pytest.raises(CorruptObjectError, match="a-run/sessions/0001"):
            archive.read_session(1)  # it has not said
        with pytest.raises(MissingObjectError):
            archive.read_session(3)

    def test_no_session_takes_the_number_of_one_that_is_lost(
        self, run: Run, archive: Archive
    ) -> None:
        """Its plans may have left more than it itself has."""
        for _ in range(4):
            archive.claim(WHO)
        run.delete([run.names.session(n) for n in range(3)])
        assert archive.claim(WHO) == 4

    def test_heartbeats_replace_each_other(self, archive: Archive) -> None:
        assert archive.read_beat(0) is None
        for beat in (Beat(0), Beat(1, interval=5.0), Beat(2, Presence.LEFT)):
            archive.beat(0, beat)
            assert archive.read_beat(0) == beat
        assert archive.read_beat(1) is None

    def test_the_first_entry_in_a_place_stays(self, archive: Archive) -> None:
        assert archive.read_entries(0) == []
        assert archive.append(entry(0), 0)
        assert not archive.append(entry(7), 0)
        assert archive.append(entry(1), 1)
        assert archive.read_entries(0) == [entry(0), entry(1)]
        # A store may answer a repeated request only: the very same bytes are ours.
        assert archive.append(entry(1), 1)

    def test_the_record_is_read_from_anywhere(self, run: Run, archive: Archive) -> None:
        for number in range(12):
            archive.append(entry(number), number)
        run.record.write_profile(0, Profile())  # beside it
        with ThreadPoolExecutor(4) as pool:
            for start in (0, 1, 5, 11, 12, 99):
                before = run.traffic()[0]
                expected = [entry(number) for number in range(start, 12)]
                assert archive.read_entries(start, pool) == expected
                asked = run.traffic()[0] - before
                assert asked == {"list": 1, **({"get": len(expected)} if expected else {})}

    def test_jobs_are_noted(self, archive: Archive) -> None:
        assert archive.read_jobs(5) == {}
        archive.note_jobs(5, {0: "first"})
        archive.note_jobs(5, {0: "first", 2: "third"})
        archive.note_jobs(6, {})
        assert archive.read_jobs(5) == {0: "first", 2: "third"}
        assert archive.read_jobs(6) == {}

    def test_the_first_obituary_stays_and_stands_with_the_manifests(
        self, run: Run, archive: Archive
    ) -> None:
        with pytest.raises(MissingObjectError):
            archive.read_obituary(SHARD)
        assert archive.write_obituary(SHARD, END)
        assert not archive.write_obituary(SHARD, Obituary("OTHER"))
        assert archive.write_obituary(SHARD, END)
        assert archive.read_obituary(SHARD) == END
        run.write_manifest(ManifestId(SHARD, 0), Manifest(False, 1, ()), [])
        found = run.list_manifests([SHARD.stage])
        assert set(found) == {ManifestId(SHARD, None, True), ManifestId(SHARD, 0)}

    def test_datasets_are_published_under_any_name(self, archive: Archive, store: Store) -> None:
        names = ["", ".", "..", "a", "A", "a/b", "a b", "ä", "日本" * 60, "x" * 2000, "=", "~"]
        names += ["%2e", "\\", "a\n", "\0", "\udc80", "=long-", "=41", "con", "*"]
        names += ["n" * 180, "n" * 181]
        for name in names:
            assert archive.publish(name, name.encode("utf-8", "replace"))
            assert not archive.publish(name, b"other")
        assert archive.list_published() == sorted(names)
        for name in names:
            assert archive.read_published(name) == name.encode("utf-8", "replace")
        assert archive.publish("a", b"new", override=True)
        assert archive.read_published("a") == b"new"
        store.put("a-run/published/Strange", [b"mine"])
        for name in names:
            archive.unpublish(name)
            archive.unpublish(name)
        assert archive.list_published() == []
        with pytest.raises(MissingObjectError):
            archive.read_published("a")

    def test_costs_are_kept_by_session(self, archive: Archive, store: Store) -> None:
        assert archive.read_profiles() == []
        first = Profile({ProfileKey("add", b"c"): TaskCosts(1, 2.0)})
        archive.write_profile(0, Profile())
        archive.write_profile(0, first)
        archive.write_profile(3, Profile())
        assert archive.read_profiles() == [first, Profile()]
        store.put("a-run/profiles/0001", [b"damaged"])
        with ThreadPoolExecutor(2) as pool:
            assert archive.read_profiles(pool) == [first, Profile()]

    def test_what_digests_are_made_of_is_kept(self, archive: Archive) -> None:
        archive.write_why(5, b"components")
        assert archive.read_why(5) == b"components"
        with pytest.raises(MissingObjectError):
            archive.read_why(6)

    def test_nothing_comes_back_into_a_run_that_was_deleted(self, run: Run, store: Store) -> None:
        run.record.append(entry(0), 0)
        Run(store, "a-run").delete_all()
        for write in WRITES:
            with pytest.raises(RunDeletedError, match=r"run 'a-run' .* is gone"):
                write(run.record)
            assert store.list("") == []


#: Everything that writes to a record.
WRITES: list[Callable[[Archive], object]] = [
    lambda archive: archive.beat(0, Beat(1)),
    lambda archive: archive.append(entry(1), 1),
    lambda archive: archive.note_jobs(0, {}),
    lambda archive: archive.write_why(0, b""),
    lambda archive: archive.write_obituary(SHARD, END),
    lambda archive: archive.publish("a", b""),
    lambda archive: archive.publish("a", b"", override=True),
    lambda archive: archive.write_profile(0, Profile()),
]


class DeletedStore(Store):
    """A store in which somebody deletes a run the moment something is written to it."""

    is_armed = False

    def put(self, name: str, data: Iterable[Bytes]) -> None:
        """Delete all, and write then."""
        self._strike()
        super().put(name, data)

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        """Delete all, and write then."""
        self._strike()
        return super().put_new(name, data)

    def _strike(self) -> None:
        if self.is_armed:
            self.is_armed = False
            self.delete_all("a-run/")


@pytest.mark.parametrize("write", WRITES)
def test_what_is_written_while_a_run_is_deleted_goes_with_it(
    write: Callable[[Archive], object],
) -> None:
    store = DeletedStore("memory://")
    run = Run(store, "a-run")
    run.record.found(INFO)
    store.is_armed = True
    with pytest.raises(RunDeletedError):
        write(run.record)
    assert store.list("") == []


@pytest.mark.parametrize("write", WRITES)
def test_a_run_that_was_made_anew_is_another_one(write: Callable[[Archive], object]) -> None:
    store = Store("memory://")
    old, new = Run(store, "a-run"), Run(store, "a-run")
    old.record.found(INFO)
    hasty = old.at_once()
    new.delete_all()
    new.record.found(OTHER_INFO)
    new.record.append(entry(5), 0)
    before = store.list("")
    for run in (old, hasty):
        with pytest.raises(RunDeletedError, match="a new one with the same name"):
            write(run.record)
    assert store.list("") == before
    assert new.record.read_entries(0) == [entry(5)]


def test_a_write_is_one_request_and_two_looks(memory: Run) -> None:
    for write in WRITES:
        before = memory.traffic()[0]
        write(memory.record)
        asked = memory.traffic()[0] - before
        assert asked["put"] == 1
        assert asked["get"] <= 3


def test_there_are_as_many_sessions_as_numbers(memory: Run) -> None:
    memory._store.put(memory.names.session(9_997), WHO.encode())
    assert memory.record.claim(WHO) == 9_998
    last = StageId(first_plan(9_999) - 1, 0)
    assert memory.names.parse_manifest(memory.names.manifest(ShardId(last, 0))).shard.stage == last
    with pytest.raises(RunError, match=r"run 'a-run' .* has had 9999 sessions.*another name"):
        memory.record.claim(WHO)


def test_a_hole_in_the_record_is_named(memory: Run) -> None:
    for number in range(4):
        memory.record.append(entry(number), number)
    memory.delete([memory.names.entry(1)])
    text = "entry 1 of the record of run 'a-run' .* missing.* deleted.*dask knot rm a-run"
    for start in (0, 1):
        with pytest.raises(CorruptObjectError, match=text):
            memory.record.read_entries(start)
    assert memory.record.read_entries(2) == [entry(2), entry(3)]


def test_in_s3_what_is_missing_may_have_expired(s3_url: str) -> None:
    run = Run(Store(s3_url), "a-run")
    run.record.found(INFO)
    for number in range(2):
        run.record.append(entry(number), number)
    run.delete([run.names.entry(0), run.names.manifest(SHARD)])
    reads: list[Callable[[], object]] = [
        lambda: run.record.read_entries(0),
        lambda: run.record.read_why(1),
        lambda: run.read_manifest(ManifestId(SHARD, None)),
        lambda: run.read_value(Place("a-run/data/00/x", 0, 3)),
    ]
    for read in reads:
        with pytest.raises(StoreError, match=r"expired.* `expiry-days` old \(30"):
            read()
    run.delete([run.names.info])
    with pytest.raises(RunDeletedError, match="expired"):
        run.record.beat(0, Beat(1))


def test_a_damaged_entry_says_what_to_do(memory: Run) -> None:
    memory.record.append(entry(0), 0)
    memory._store.put(memory.names.entry(0), [b"damaged"])
    with pytest.raises(CorruptObjectError, match=r"a-run/log/0000000000 .*dask knot rm a-run"):
        memory.record.read_entries(0)


class VanishingStore(Store):
    """A store that lists what is gone by then."""

    def list(self, prefix: str, offset: str | None = None) -> list[str]:
        """List entries that were there."""
        return ["a-run/log/0000000000", "a-run/log/strange", "a-run/log/0000000001"]


@pytest.mark.parametrize(
    ("is_there", "kind", "text"),
    [(True, CorruptObjectError, "entry 0 .* is missing"), (False, RunDeletedError, "is gone")],
)
def test_what_was_listed_may_be_gone(is_there: bool, kind: type[StoreError], text: str) -> None:
    run = Run(VanishingStore("memory://"), "a-run")
    if is_there:
        run.record.found(INFO)
    with pytest.raises(kind, match=text):
        run.record.read_entries(0)


#: Reads of every kind of note, and the object that each reads.
READS: dict[str, Callable[[Archive], object]] = {
    "a-run/run": Archive.read_info,
    "a-run/sessions/0000": lambda archive: archive.read_session(0),
    "a-run/beats/0000": lambda archive: archive.read_beat(0),
    "a-run/jobs/0000000000": lambda archive: archive.read_jobs(0),
    "a-run/why/0000000000": lambda archive: archive.read_why(0),
    "a-run/published/a": lambda archive: archive.read_published("a"),
    f"a-run/manifests/{SHARD.stage.stored}/00003.lost": lambda archive: archive.read_obituary(
        SHARD
    ),
}


@pytest.mark.parametrize("name", READS)
def test_a_damaged_object_is_named(name: str, memory: Run) -> None:
    for write in WRITES:
        write(memory.record)
    memory.record.claim(WHO)
    READS[name](memory.record)
    good = bytes(memory._store.get(name))
    for bad in (good[:-1], good + b"x", good[:20] + bytes([good[20] ^ 1]) + good[21:]):
        memory._store.put(name, [bad])
        with pytest.raises(CorruptObjectError, match=re.escape(name)):
            READS[name](memory.record)
    memory._store.put(name, [b"".join(note.encode(note.NoteKind.RUN, {"strange": 1}))])
    with pytest.raises(CorruptObjectError, match=re.escape(name)):
        READS[name](memory.record)


def test_another_thread_and_folder_sees_the_same(tmp_path: Path) -> None:
    first, second = (Run(Store(tmp_path / "store"), "a-run") for _ in range(2))
    assert first.record.found(INFO) == second.record.found(OTHER_INFO) == INFO
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: (first, second)[n % 2].record.append(entry(n), 0), range(16)))
    assert won.count(True) == 1
    assert first.record.read_entries(0) == [entry(won.index(True))]
