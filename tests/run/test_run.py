"""One contract of a run over every kind of store: what one verb writes, another one reads."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from dask._task_spec import Task

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import codec, work
from dask_knot.run import run as run_module
from dask_knot.run.bundle import Bundle, BundledFile, PathEntry, Precedence
from dask_knot.run.manifest import INSIDE, Kind, Manifest, Output, Place
from dask_knot.run.names import PLANS_PER_SESSION, ManifestId, ShardId, StageId
from dask_knot.run.orders import Claimant, Orders
from dask_knot.run.plugins import Plugin
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.survey import Survey
from dask_knot.run.work import Options, ShardWork

FIRST, SECOND = StageId(0, 0), StageId(1, 0)
SHARD = ShardId(FIRST, 3)
LAST = ManifestId(SHARD, None)


def shard(key: str) -> ShardWork:
    """Describe a shard of one task."""
    return ShardWork([Task(key, operator.neg, 1)], [], {}, [key], Options())


def manifest(*outputs: Output, final: bool = True) -> Manifest:
    return Manifest(final, 1, outputs)


def output(ordinal: int, place: Place) -> Output:
    return Output(ordinal, Kind.FINISHED, place, 1, 0, 0.0, 0.0)


def asked(run: Run) -> dict[str, int]:
    """Count what was asked of the store so far."""
    return dict(run.traffic()[0])


@pytest.fixture
def run(store: Store) -> Run:
    return Run(store, "a-run")


@pytest.fixture
def memory() -> Run:
    return Run(Store("memory://"), "a-run")


class TestEveryStore:
    def test_a_shard_comes_out_of_its_pack(self, run: Run) -> None:
        url = run.write_pack(FIRST, [shard("a"), shard("b")], plugins="digest", bundle="other")
        assert url == run.url_of(FIRST)
        opened = run.read_shard(ShardId(FIRST, 1))
        assert [node.key for node in work.decode(opened.frames).tasks] == ["b"]
        assert (opened.plugins, opened.bundle) == ("digest", "other")
        assert asked(run) == {"put": 1, "get": 2}
        with pytest.raises(MissingObjectError):
            run.read_shard(ShardId(SECOND, 0))

    def test_a_manifest_says_where_its_outputs_are(self, run: Run) -> None:
        inline = [b"".join(codec.encode(value)) for value in ("one", "two")]
        far = Place("a-run/data/x", 64, 10)
        outputs = [
            output(0, Place(INSIDE, 0, len(inline[0]))),
            output(1, far),
            output(2, Place(INSIDE, len(inline[0]), len(inline[1]))),
        ]
        placed = run.write_manifest(LAST, manifest(*outputs), inline)
        assert asked(run) == {"put": 1}
        commit = run.read_manifest(LAST)
        assert placed == list(commit.manifest.outputs)
        first, other, second = (found.place for found in commit.manifest.outputs)
        assert other == far
        assert commit.inside(other) is None
        for place, value in ((first, "one"), (second, "two")):
            inside = commit.inside(place)
            assert inside is not None
            assert codec.decode(inside) == codec.decode(run.read_value(place)) == value

    def test_the_first_manifest_stays(self, run: Run) -> None:
        assert run.write_manifest(LAST, manifest(), []) == []
        assert run.write_manifest(LAST, manifest(final=False), []) is None
        assert run.read_manifest(LAST).manifest.final
        # A store may answer a repeated request only: the very same bytes are ours.
        assert run.write_manifest(LAST, manifest(), []) == []

    def test_manifests_are_listed_whatever_lies_beside_them(
        self, run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = [ManifestId(ShardId(id, 2), part) for id in (FIRST, SECOND) for part in (0, None)]
        for id in written:
            run.write_manifest(id, manifest(), [])
        for stray in ("notes.txt", "00002.p0000", "00002.end.tmp"):
            store.put(run.names.of_stage(FIRST) + stray, [b"mine"])
        Run(store, "another").write_manifest(LAST, manifest(), [])
        assert set(run.list_manifests([SECOND])) == set(written[2:])
        assert set(run.list_manifests([FIRST, SECOND])) == set(written)
        monkeypatch.setattr(run_module, "LISTED_APART", 0)
        before = asked(run)["list"]
        assert set(run.list_manifests([FIRST, SECOND])) == set(written)
        assert set(run.list_manifests([SECOND])) == set(written[2:])
        assert asked(run)["list"] - before == 2

    @pytest.mark.parametrize("is_near", [True, False])
    def test_values_are_read_where_they_were_put(
        self, run: Run, store: Store, is_near: bool
    ) -> None:
        store.is_near = is_near
        values = {"a": np.arange(10), "b": "text", ("c", 0): np.ones(3)}
        parts = {key: codec.pickled(value) for key, value in values.items()}
        outbox = run.outbox(SHARD, 1)
        for number, value in enumerate(parts.values()):
            outbox.add(number, value)
        places = [
            *run.write_constants(FIRST, parts).values(),
            *run.write_scattered(7, parts).values(),
            *outbox.arrived(waits=True).values(),
        ]
        assert asked(run) == {"put": 3}
        assert len({place.name for place in places}) == 3
        for place, value in zip(places, [*values.values()] * 3, strict=True):
            np.testing.assert_array_equal(codec.decode(run.read_value(place)), value)
        before = asked(run)["get"]
        together = run.read_neighbors(places[:3])
        assert together == [run.read_value(place) for place in places[:3]]
        assert asked(run)["get"] - before == 1 + 3

    def test_plugins_are_found_by_their_digest(self, run: Run, store: Store) -> None:
        some = [Plugin("one", b"1"), Plugin("two", b"2")]
        digest = run.supplies.publish_plugins(some)
        assert run.supplies.read_plugins(digest) == some
        store.put(run.names.plugins(digest), [b"damaged"])
        assert run.supplies.publish_plugins(some) == digest
        with pytest.raises(CorruptObjectError):
            run.supplies.read_plugins(digest)
        run.supplies.publish_plugins(some, is_doubted=True)
        assert run.supplies.read_plugins(digest) == some

    def test_bundles_are_found_by_their_digest(self, run: Run, store: Store) -> None:
        entries = [PathEntry("0", Precedence.PYTHON), PathEntry("1", Precedence.NOTHING, "a.zip")]
        modules = Bundle(entries, [BundledFile("0/mine.py", b"X = 1", True)], "linux")
        digest = run.supplies.publish_bundle(modules)
        assert run.supplies.read_bundle(digest) == modules
        store.put(run.names.bundle(digest), [b"damaged"])
        assert run.supplies.publish_bundle(modules) == digest
        with pytest.raises(CorruptObjectError):
            run.supplies.read_bundle(digest)
        run.supplies.publish_bundle(modules, is_doubted=True)
        assert run.supplies.read_bundle(digest) == modules
        assert run.supplies.read_bundle("") is None

    def test_children_are_told_what_to_do(self, run: Run) -> None:
        with pytest.raises(MissingObjectError):
            run.read_orders(FIRST)
        for told in (Orders(frozenset([1])), Orders(frozenset([1, 30]), frozenset([2])), Orders()):
            run.tell_orders(FIRST, told)
            assert run.read_orders(FIRST) == told

    @pytest.mark.parametrize("first", Claimant)
    def test_whoever_claims_first_holds_what_was_handed_over(
        self, run: Run, first: Claimant
    ) -> None:
        shards = [ShardId(FIRST, number) for number in range(2)]
        assert run.claim(shards[0], first) is first
        assert {run.claim(shards[0], one) for one in (*Claimant, *Claimant)} == {first}
        (other,) = set(Claimant) - {first}
        assert run.claim(shards[1], other) is other

    def test_a_claim_that_is_damaged_is_nobodys(self, run: Run, store: Store) -> None:
        store.put(run.names.claim(ShardId(FIRST, 0)), [b"client"])
        with pytest.raises(CorruptObjectError):
            run.claim(ShardId(FIRST, 0), Claimant.CHILD)

    def test_sessions_claim_different_numbers(self, run: Run, store: Store) -> None:
        others = [Run(store, "a-run"), Run(store, "a-run")]
        assert [one.claim_session() for one in (run, *others)] == [
            n * PLANS_PER_SESSION for n in range(3)
        ]
        assert Run(store, "another").claim_session() == 0

    def test_a_session_that_claims_at_the_same_time_is_given_way_to(
        self, run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run.claim_session()
        monkeypatch.setattr(store, "list", lambda prefix: [])
        assert run.claim_session() == PLANS_PER_SESSION

    def test_all_goes_and_others_stay(self, run: Run, store: Store) -> None:
        run.check_writable()
        assert store.list("") == []
        other = Run(store, "a-run-2")
        for one in (run, other):
            one.write_pack(FIRST, [shard("a")])
            one.write_manifest(LAST, manifest(), [])
            one.claim_session()
        run.delete([run.names.pack(FIRST), "a-run/gone/already"])
        with pytest.raises(MissingObjectError):
            run.read_shard(ShardId(FIRST, 0))
        run.delete_all()
        assert store.list("a-run/") == []
        assert other.read_manifest(LAST).manifest.final


def test_the_url_of_a_pack_leads_back(tmp_path: Path) -> None:
    written = Run(Store(tmp_path / "a store"), "a-run")
    url = written.write_pack(FIRST, [shard("a")])
    run, stage = Run.of_pack(url)
    assert (run.name, run.store_url, stage) == ("a-run", written.store_url, FIRST)
    assert run.read_shard(ShardId(stage, 0)).plugins == ""


def test_no_folder_is_made_for_a_pack(tmp_path: Path) -> None:
    url = f"{(tmp_path / 'gone').as_uri()}/a-run/packs/{FIRST.stored}"
    with pytest.raises(StoreError, match="isn't there"):
        Run.of_pack(url, patience=0.0)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("url", ["", "x", "memory://a-run/data/00/x"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="RUN/packs/PLAN-STAGE"):
        Run.of_pack(url)


@pytest.mark.parametrize(("index", "requests"), [(0, 2), (63, 2), (64, 3)])
def test_a_shard_costs_few_requests(memory: Run, index: int, requests: int) -> None:
    memory.write_pack(FIRST, [shard(str(n)) for n in range(65)])
    memory.read_shard(ShardId(FIRST, index))
    assert asked(memory) == {"put": 1, "get": requests}


def test_traffic_is_counted_once_for_a_run_and_its_hasty_self(memory: Run) -> None:
    (place,) = memory.write_scattered(0, {"a": codec.pickled("value")}).values()
    memory.at_once().read_value(place)
    requests, moved = memory.traffic()
    assert requests == {"put": 1, "get": 1}
    assert moved["read"] == place.length
    requests.clear()
    assert asked(memory) == {"put": 1, "get": 1}


class AwayStore(Store):
    """A store that is away for some requests."""

    away = 0

    def get(self, name: str) -> memoryview:
        """Give an object, unless it is away."""

        def read() -> memoryview:
            if self.away:
                self.away -= 1
                raise StoreError("no route to host")
            return super(AwayStore, self).get(name)

        return self._access.patience.call("get", read, lambda error: True)


def test_patience_is_for_those_who_want_it() -> None:
    store = AwayStore("memory://")
    run = Run(store, "a-run")
    run.write_manifest(LAST, manifest(), [])
    run.be_patient(30.0)
    hasty = run.at_once()
    store.away = 1
    assert run.read_manifest(LAST).manifest.final
    hasty_store = hasty._store
    assert isinstance(hasty_store, AwayStore)
    hasty_store.away = 1
    with pytest.raises(StoreError, match="no route"):
        hasty.read_manifest(LAST)
    run.hurry()
    store.away = 1
    with pytest.raises(StoreError, match="no route"):
        run.read_manifest(LAST)


class BusyStore(Store):
    """A store in which somebody writes on after its end."""

    late = 0

    def delete(self, names: Sequence[str]) -> None:  # type: ignore[override]
        """Delete, and let something new come."""
        super().delete(names)
        if self.late:
            self.late -= 1
            self.put(f"a-run/data/{self.late}", [b"late"])


@pytest.mark.parametrize("late", [1, 3, 1000])
def test_what_comes_late_goes_as_well(late: int, caplog: pytest.LogCaptureFixture) -> None:
    store = BusyStore("memory://")
    store.put("a-run/data/x", [b"x"])
    store.late = late
    Run(store, "a-run").delete_all()
    assert bool(store.list("a-run/")) == (late == 1000)
    assert ("someone is still writing there" in caplog.text) == (late == 1000)


def test_what_cannot_be_deleted_is_said(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Store):
        def delete_all(self, prefix: str, last: str = "") -> None:
            raise StoreError("permission denied")

    Run(Broken("memory://"), "a-run").delete_all()
    assert "not everything was deleted from memory:///a-run/: permission denied" in caplog.text


def test_a_survey_tells_what_there_is(run: Run, store: Store) -> None:
    assert run.survey() == Survey(manifests=[], sessions=[])
    run.claim_session()
    run.note_erred(SHARD)
    run.write_manifest(LAST, manifest(), [])
    run.write_manifest(ManifestId(ShardId(FIRST, 4), 0), manifest(final=False), [])
    store.put(f"a-run/manifests/{FIRST.stored}/00005.lost", [b"x"])
    store.put(
        f"a-run/manifests/{FIRST.stored}/00006.erred", [b""]
    )  # its job was killed before it ended
    store.put("a-run/manifests/nonsense.erred", [b""])
    store.put("a-run-2/data/x", [b"another run"])
    found = run.survey()
    assert (found.done, found.lost) == ({SHARD}, {ShardId(FIRST, 5)})
    assert found.erred == {SHARD, ShardId(FIRST, 6)}
    assert found.sessions == [0]
    assert found.claimed == set()
    assert found.objects == len(store.list("a-run/")) == 7
    run.claim(SHARD, Claimant.CLIENT)
    run.claim(ShardId(FIRST, 4), Claimant.CHILD)  # it isn't done
    run.claim(ShardId(FIRST, 7), Claimant.CLIENT)  # its manifests are gone
    assert run.survey().claimed == {SHARD, ShardId(FIRST, 4)}
    assert run.read_claim(ShardId(FIRST, 4)) is Claimant.CHILD
    found = run.survey()
    assert found.nbytes == sum(store.sizes("a-run/").values()) > 0


def test_by_what_it_is_known_is_deleted_last(tmp_path: Path) -> None:
    deleted: list[str] = []

    class Noting(Store):
        def delete(self, names: Sequence[str]) -> None:  # type: ignore[override]
            deleted.extend(names)
            super().delete(names)

    store = Noting(str(tmp_path))
    for name in ("packs/a", "run", "sessions/0000", "why/0"):
        store.put(f"a-run/{name}", [b"x"])
    Run(store, "a-run").delete_all()
    assert deleted == [f"a-run/{name}" for name in ("packs/a", "sessions/0000", "why/0", "run")]
