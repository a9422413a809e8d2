"""A look finds each new manifest once and each failed child once, at a fixed number of requests."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgpack
import pytest

from dask_knot.batch.endings import CLIENT_GONE
from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.errors import CorruptObjectError, JobMemoryError, KnotError, StoreError
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run import codec, manifest
from dask_knot.run import run as runs
from dask_knot.run.manifest import INSIDE, Commit, Handed, Kind, Manifest, Output, Place
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.obituary import Obituary
from dask_knot.run.orders import Claimant
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session import watcher
from dask_knot.session.graveyard import error_of, obituary_of
from dask_knot.session.values import ValueReader
from dask_knot.session.virtual import AtOnce
from dask_knot.session.watcher import Watcher
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound
from tests.local.recording import RecordingBatch

FIRST, SECOND = StageId(3, 0), StageId(4, 0)


class Desk:
    """A watcher of two stages, of three children each."""

    def __init__(self) -> None:
        self.store = Store("memory://")
        self.run = Run(self.store, "run")
        self.client = RecordingBatch()
        self.service = JobService(self.client, JobTemplate("n", "q", "i"), lambda *_: ())
        self.values = ValueReader(self.run, AtOnce())
        self.watcher = Watcher(self.run, self.service, self.values, AtOnce())
        shards = tuple(Shard((n,), (), (n,), (), 1.0) for n in range(3))
        for id in (FIRST, SECOND):
            self.service.submit(id, Stage(shards, Resources(1, 2**20)), "s3://b/run/packs/1-1")

    def commit(self, shard: ShardId, part: int | None = None) -> Place:
        """Write a manifest with one value in it."""
        id = ManifestId(shard, part)
        value = b"".join(codec.encode(str(shard)))
        output = Output(0, Kind.FINISHED, Place(INSIDE, 0, len(value)), 1, 0, 0.0, 0.0)
        placed = self.run.write_manifest(id, Manifest(part is None, 1, [output]), [value])
        assert placed is not None
        return placed[0].place

    def look(self, *stages: StageId) -> list[ManifestFound | ChildFailed]:
        """Look, and forget which requests came before."""
        self.store.requests.clear()
        self.client.calls.clear()
        found, _ = self.watcher.look(stages or (FIRST, SECOND))
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    found = Desk()
    yield found
    found.watcher.close()
    found.values.close()


def test_parts_are_told_before_the_shard_is_done(desk: Desk) -> None:
    """All appear between two looks, and in a listing ``.end`` comes before ``.p000``."""
    shard, other = ShardId(FIRST, 1), ShardId(FIRST, 2)
    for part in (0, 1, None):
        desk.commit(shard, part)
    desk.commit(other)
    found = [event for event in desk.look() if isinstance(event, ManifestFound)]
    told = [event.manifest.final for event in found if event.shard == shard]
    assert told == [False, False, True]
    assert len(found) == 4


def test_new_manifests_are_found_once(desk: Desk) -> None:
    assert desk.look() == []
    place = desk.commit(ShardId(FIRST, 2))
    (found,) = desk.look()
    assert isinstance(found, ManifestFound)
    assert found.shard == ShardId(FIRST, 2)
    assert found.manifest.final
    assert found.manifest.outputs[0].place == place
    assert desk.look() == []
    desk.commit(ShardId(FIRST, 1), part=0)
    desk.commit(ShardId(SECOND, 0))
    found_shards = {event.shard for event in desk.look()}
    assert found_shards == {ShardId(FIRST, 1), ShardId(SECOND, 0)}


def test_values_of_manifests_are_at_hand(desk: Desk) -> None:
    place = desk.commit(ShardId(FIRST, 0))
    desk.look()
    desk.store.requests.clear()
    assert codec.decode(desk.values.read(place)) == str(ShardId(FIRST, 0))
    assert desk.store.requests == {}


def test_a_look_costs_one_listing_and_one_call(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LISTED_APART", 1)
    for index in range(3):
        desk.commit(ShardId(FIRST, index))
    assert len(desk.look()) == 3
    assert desk.store.requests == {"list": 1, "get": 3}
    assert [name for name, _ in desk.client.calls] == ["DescribeJobs"]
    desk.look()
    assert desk.store.requests == {"list": 1}


def test_other_stages_are_not_read(desk: Desk) -> None:
    desk.commit(ShardId(StageId(1, 0), 0))
    desk.commit(ShardId(SECOND, 0))
    desk.commit(ShardId(StageId(9, 0), 0))
    assert [event.shard.stage for event in desk.look(SECOND)] == [SECOND]
    assert desk.look(SECOND) == []
    # A stage that is looked at again was forgotten meanwhile.
    assert desk.look(FIRST) == []
    assert [event.shard.stage for event in desk.look(SECOND)] == [SECOND]


def test_a_manifest_that_cannot_be_read_is_told_once(desk: Desk) -> None:
    shard = ShardId(FIRST, 0)
    desk.store.put(desk.run.names.manifest(shard), [b"not a manifest"])
    (found,) = desk.look()
    assert isinstance(found, ChildFailed)
    assert (found.shard, found.ending) == (shard, Ending.UNREADABLE)
    assert isinstance(found.error, CorruptObjectError)
    assert desk.look() == []


def hand_over(desk: Desk, shard: ShardId) -> None:
    """Let a shard hand over its only output."""
    part = Manifest(False, 1, [], handed=Handed((0,), {"inc": 1}))
    assert desk.run.write_manifest(ManifestId(shard, 0), part, []) is not None


def test_what_is_handed_over_is_claimed_before_it_is_told(desk: Desk) -> None:
    hand_over(desk, ShardId(FIRST, 0))
    (found,) = desk.look()
    assert isinstance(found, ManifestFound)
    assert found.manifest.handed is not None
    assert desk.run.claim(found.shard, Claimant.CHILD) is Claimant.CLIENT


def test_what_a_child_has_taken_back_is_told_as_any_part(desk: Desk) -> None:
    hand_over(desk, ShardId(FIRST, 0))
    desk.run.claim(ShardId(FIRST, 0), Claimant.CHILD)
    (found,) = desk.look()
    assert isinstance(found, ManifestFound)
    assert found.manifest.handed is None


def test_a_claim_that_could_not_be_made_is_made_at_the_next_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(desk, ShardId(FIRST, 0))

    def away(name: str, data: object) -> bool:
        raise StoreError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "put_new", away)
        with pytest.raises(StoreError, match="no route"):
            desk.look()
    (found,) = desk.look()
    assert isinstance(found, ManifestFound)
    assert found.manifest.handed is not None


def test_failed_children_come_after_manifests(desk: Desk) -> None:
    desk.client.fail_child("job-1", 1)
    desk.commit(ShardId(SECOND, 0))
    manifests, failed = desk.look()
    assert isinstance(manifests, ManifestFound)
    assert isinstance(failed, ChildFailed)
    assert (failed.shard, failed.ending) == (ShardId(FIRST, 1), Ending.KILLED)
    assert desk.look() == []


def test_batch_is_asked_before_the_store(desk: Desk) -> None:
    """Or a child could commit and end in between, and seem to have left nothing."""
    describe = desk.client.describe_jobs
    requests = []

    def describing(**request: object) -> object:
        requests.append(dict(desk.store.requests))
        return describe(**request)  # type: ignore[arg-type]

    desk.client.describe_jobs = describing  # type: ignore[method-assign, assignment]
    desk.look()
    assert requests == [{}]


def test_what_left_no_manifest_is_explained(desk: Desk) -> None:
    desk.client.details["job-1:2"] = {"jobId": "job-1:2", "container": {"exitCode": 0}}
    (lost,) = desk.watcher.lost([ShardId(FIRST, 2)])
    assert (lost.shard, lost.ending) == (ShardId(FIRST, 2), Ending.KILLED)
    assert "job-1:2" in str(lost.error)


def test_a_store_that_is_away_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.commit(ShardId(FIRST, 0))

    def away(name: str) -> memoryview:
        raise StoreError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "get", away)
        with pytest.raises(StoreError, match="no route"):
            desk.look()
    assert [event.shard for event in desk.look()] == [ShardId(FIRST, 0)]


def test_what_was_read_beside_a_manifest_that_could_not_be_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = {ShardId(FIRST, 0), ShardId(FIRST, 1), ShardId(SECOND, 2)}
    for shard in shards:
        desk.commit(shard)
    get, away = desk.store.get, desk.run.names.manifest(ShardId(FIRST, 1))

    def get_others(name: str) -> memoryview:
        if name == away:
            raise StoreError("no route to host")
        return get(name)

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "get", get_others)
        with pytest.raises(StoreError, match="no route"):
            desk.look()
    assert {event.shard for event in desk.look()} == shards
    assert desk.look() == []


def test_failed_children_are_not_lost_when_the_store_is_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.client.fail_child("job-1", 1)

    def away(prefix: str, offset: str | None = None) -> list[str]:
        raise StoreError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "list", away)
        with pytest.raises(StoreError, match="no route"):
            desk.look()
    assert [event.shard for event in desk.look()] == [ShardId(FIRST, 1)]
    assert desk.look() == []


def test_what_others_put_beside_manifests_is_left_alone(desk: Desk) -> None:
    for stray in (".DS_Store", f"{FIRST}/notes.txt"):
        desk.store.put(desk.run.names.manifests + stray, [b"mine"])
    desk.commit(ShardId(FIRST, 0))
    assert [event.shard for event in desk.look(FIRST)] == [ShardId(FIRST, 0)]


@pytest.mark.parametrize("index", [b"\xc1", msgpack.packb([1]), msgpack.packb({"objects": 3})])
def test_a_whole_manifest_that_makes_no_sense_is_told(desk: Desk, index: bytes) -> None:
    shard = ShardId(FIRST, 0)
    head = manifest._HEAD.pack(b"KM", manifest.VERSION, len(index), zlib.crc32(index))
    desk.store.put(desk.run.names.manifest(shard), [head, index])
    (found,) = desk.look()
    assert isinstance(found, ChildFailed)
    assert found.ending is Ending.UNREADABLE
    assert isinstance(found.error, CorruptObjectError)


class NamedDesk(Desk):
    """A watcher in a named run: shards are open or not, and others have submitted both stages."""

    def __init__(self) -> None:
        super().__init__()
        self.run.record.found(RunInfo(0.0, "me", "aws", "1"))
        self.open = {ShardId(id, n) for id in (FIRST, SECOND) for n in range(3)}
        self.openings = Counter[ShardId]()
        self.watcher = Watcher(self.run, self.service, self.values, AtOnce(), self.opening)
        for job in self.service.jobs.values():
            job.is_adopted = True

    def opening(self, shard: ShardId) -> int | None:
        """Number the opening since which a shard is open."""
        return self.openings[shard] if shard in self.open else None

    def write_obituary(self, shard: ShardId) -> None:
        """Let another session tell of a child's end."""
        error = JobMemoryError("too much", "job-9", "OutOfMemoryError", ("last line",))
        self.run.record.write_obituary(shard, obituary_of(ChildFailed(shard, Ending.MEMORY, error)))


@pytest.fixture
def named() -> Iterator[NamedDesk]:
    found = NamedDesk()
    yield found
    found.watcher.close()
    found.values.close()


def test_only_what_is_awaited_is_read(named: NamedDesk) -> None:
    for index in range(3):
        named.commit(ShardId(FIRST, index))
    named.open = {ShardId(FIRST, 1)}
    (found,) = named.look(FIRST)
    assert found.shard == ShardId(FIRST, 1)
    assert named.store.requests["get"] == 1
    named.open = set()
    assert named.look(FIRST) == []


def test_a_shard_that_is_awaited_again_is_read_again(named: NamedDesk) -> None:
    shard = ShardId(FIRST, 0)
    named.commit(shard, part=0)
    named.commit(shard)
    assert len(named.look(FIRST)) == 2
    again = named.look(FIRST)  # without a look in between at which it was done
    assert [event.shard for event in again] == [shard, shard]
    named.open.discard(shard)
    assert named.look(FIRST) == []
    named.open.add(shard)
    assert len(named.look(FIRST)) == 2


def test_parts_are_read_again_when_their_shard_is_opened_once_more(named: NamedDesk) -> None:
    shard = ShardId(FIRST, 0)
    named.commit(shard, part=0)
    assert len(named.look(FIRST)) == 1
    assert named.look(FIRST) == []
    named.openings[shard] += 1  # without a look in between at which it was closed
    (again,) = named.look(FIRST)
    assert again.is_old
    assert named.look(FIRST) == []


def test_parts_are_read_once_while_their_shard_runs(named: NamedDesk) -> None:
    shard = ShardId(FIRST, 0)
    named.commit(shard, part=0)
    assert len(named.look(FIRST)) == 1
    assert named.look(FIRST) == []
    named.commit(shard, part=1)
    assert len(named.look(FIRST)) == 1


def ages(found: list[ManifestFound | ChildFailed]) -> dict[int, bool]:
    """Tell which manifests are old, by the index of the child."""
    return {e.shard.index: e.is_old for e in found if isinstance(e, ManifestFound)}


def test_what_was_there_before_us_is_old(named: NamedDesk) -> None:
    named.commit(ShardId(FIRST, 0))
    named.commit(ShardId(FIRST, 1))
    named.open.discard(ShardId(FIRST, 1))
    assert ages(named.look(FIRST)) == {0: True}
    named.open.discard(ShardId(FIRST, 0))
    named.commit(ShardId(FIRST, 2))
    assert ages(named.look(FIRST)) == {2: False}
    named.open.discard(ShardId(FIRST, 2))
    named.look(SECOND)
    named.open |= {ShardId(FIRST, n) for n in range(3)}
    assert ages(named.look(FIRST)) == {0: True, 1: True, 2: True}


def test_what_our_own_jobs_make_is_never_old(desk: Desk) -> None:
    desk.commit(ShardId(FIRST, 0))
    assert ages(desk.look(FIRST)) == {0: False}


def test_a_look_that_fails_makes_nothing_old_or_known(named: NamedDesk) -> None:
    named.commit(ShardId(FIRST, 0))
    read = named.run.read_manifest

    def fail(id: ManifestId) -> Commit:
        raise StoreError("away")

    named.run.read_manifest = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        named.look(FIRST)
    named.run.read_manifest = read  # type: ignore[method-assign]
    assert ages(named.look(FIRST)) == {0: True}


def test_an_obituary_stands_for_what_another_session_saw(named: NamedDesk) -> None:
    assert named.look(FIRST) == []
    shard = ShardId(FIRST, 0)
    named.write_obituary(shard)
    (found,) = named.look(FIRST)
    assert isinstance(found, ChildFailed)
    assert (found.shard, found.ending) == (shard, Ending.MEMORY)
    error = found.error
    assert isinstance(error, JobMemoryError)
    assert (str(error), error.job_id, error.reason) == ("too much", "job-9", "OutOfMemoryError")
    assert error.log == ("last line",)
    named.open.discard(shard)
    assert named.look(FIRST) == []


def test_an_obituary_of_long_ago_is_no_result(named: NamedDesk) -> None:
    named.write_obituary(ShardId(FIRST, 0))
    (found,) = named.look(FIRST)
    assert isinstance(found, ChildFailed)
    assert found.ending is Ending.LEFT


def test_a_last_manifest_is_better_than_an_obituary(named: NamedDesk) -> None:
    shard = ShardId(FIRST, 0)
    named.commit(shard)
    named.write_obituary(shard)
    (found,) = named.look(FIRST)
    assert isinstance(found, ManifestFound)


def test_failed_children_are_told_to_others_once(named: NamedDesk) -> None:
    named.look(FIRST)
    named.client.fail_child("job-1", 1, container={"exitCode": 3})
    named.client.fail_child("job-1", 2, statusReason=CLIENT_GONE)
    named.commit(ShardId(FIRST, 0))
    named.client.fail_child("job-1", 0)  # after its last manifest
    assert len(named.look(FIRST)) == 4
    written = [id for id in named.run.list_manifests([FIRST]) if id.is_lost]
    assert written == [ManifestId(ShardId(FIRST, 1), None, True)]
    obituary = named.run.record.read_obituary(ShardId(FIRST, 1))
    assert (obituary.ending, obituary.kind) == ("KILLED", "KilledTaskError")


def test_a_failed_child_is_told_when_something_is_awaited_of_it(named: NamedDesk) -> None:
    named.look(FIRST)
    named.open = {ShardId(FIRST, 0)}
    named.client.fail_child("job-1", 1, statusReason=CLIENT_GONE)
    assert named.look(FIRST) == []
    named.open.add(ShardId(FIRST, 1))
    (told,) = named.look(FIRST)
    assert isinstance(told, ChildFailed)
    assert (told.shard, told.ending) == (ShardId(FIRST, 1), Ending.LEFT)
    assert named.look(FIRST) == []


def test_without_a_name_nobody_is_told(desk: Desk) -> None:
    desk.client.fail_child("job-1", 1)
    assert len(desk.look(FIRST)) == 1
    assert desk.store.list("run/") == []


@pytest.mark.parametrize("kind", ["NoSuchError", "InternalError", "KnotError", "Exception"])
def test_an_error_that_is_not_known_here_is_told_all_the_same(kind: str) -> None:
    found = error_of(Obituary("NEW", kind, "why"))
    assert isinstance(found, KnotError)
    assert str(found) == "why"


def test_what_others_have_made_long_ago_is_not_listed_again_and_again(
    named: NamedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LISTED_APART", 1)
    monkeypatch.setattr(watcher, "LISTED_AT_ONCE", 2)
    strangers = [ShardId(StageId(2_000_000 + n, 0), 0) for n in range(10)]
    for shard in strangers:
        named.commit(shard)
    listed: list[int] = []
    list_manifests = named.run.list_manifests

    def listing(stages: Sequence[StageId]) -> list[ManifestId]:
        found = list_manifests(stages)
        listed.append(len(found))
        return found

    named.run.list_manifests = listing  # type: ignore[method-assign]
    assert named.look() == []
    named.commit(ShardId(FIRST, 0))
    assert len(named.look()) == 1
    assert listed == [10, 1, 0]  # both at once, then each apart
    listed.clear()
    assert named.look(SECOND) == []
    named.look(SECOND)
    assert len(listed) == 2


@pytest.mark.parametrize("part", [None, 0])
def test_what_was_done_before_it_was_awaited_is_not_lost_but_read(
    named: NamedDesk, part: int | None
) -> None:
    shard, other = ShardId(FIRST, 0), ShardId(FIRST, 1)
    named.commit(shard, part)
    named.open = {other}
    assert named.look(FIRST) == []
    named.open.add(shard)  # while the look was under way
    for child in range(2):
        named.client.details[f"job-1:{child}"] = {"jobId": f"job-1:{child}"}
    assert [event.shard for event in named.watcher.lost([shard, other])] == [other]
    named.open.discard(other)
    assert [event.shard for event in named.look(FIRST)] == [shard]


def test_what_was_opened_once_more_while_it_was_looked_at_is_not_lost_yet(
    named: NamedDesk,
) -> None:
    shard = ShardId(FIRST, 0)
    named.commit(shard, part=0)
    (event,) = named.look(FIRST)
    assert event.opening == 0
    named.openings[shard] += 1  # for somebody else, before what was found is taken in
    named.client.details["job-1:0"] = {"jobId": "job-1:0"}
    assert named.watcher.lost([shard]) == []
    (event,) = named.look(FIRST)
    assert (event.opening, event.is_old) == (1, True)
    (lost,) = named.watcher.lost([shard])
    assert (lost.shard, lost.opening) == (shard, 1)
