"""Who asks and who is asked meet in the store, beside what a session tells its children."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dask_knot.errors import MissingObjectError
from dask_knot.run.asks import Answer, Asks, Question, Vitals
from dask_knot.run.inquiries import Inquiries
from dask_knot.run.names import Names, ShardId, StageId
from dask_knot.run.orders import Orders
from dask_knot.run.run import Run
from dask_knot.run.store import Store

STAGE = StageId(0, 0)
SHARD = ShardId(STAGE, 3)
ASKS = Asks((Question("q", "load-1"),))
ANSWER = Answer("job", "1", "host", 1, "/")


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store("memory://" if request.param == "memory" else tmp_path / "store")


def made(store: Store) -> Inquiries:
    return Inquiries(store, Names("run"))


def test_what_is_asked_is_read(store: Store) -> None:
    assert made(store).read(STAGE) == Asks()
    made(store).tell(STAGE, ASKS)
    assert made(store).read(STAGE) == ASKS
    made(store).tell(STAGE, Asks())
    assert made(store).read(STAGE) == Asks()


def test_answers_and_vitals_are_those_of_their_shards(store: Store) -> None:
    vitals = Vitals("w", 0, "job", "host", 1, 0.5, 1, 2**20)
    made(store).answer("q", SHARD, ANSWER)
    made(store).tell_vitals(SHARD, vitals)
    store.put("run/answers/q/strange", [b"?"])
    store.put(f"run/answers/q/{ShardId(STAGE, 4).stored}", [b"damaged"])
    assert made(store).answers("q") == {SHARD: ANSWER}
    assert made(store).answers("r") == {}
    assert made(store).vitals() == {SHARD: vitals}


def test_nothing_is_left(store: Store) -> None:
    made(store).tell(STAGE, ASKS)
    made(store).answer("q", SHARD, ANSWER)
    made(store).tell_vitals(SHARD, Vitals("w", 0, "job", "host", 1, 0.5, 1, 2**20))
    made(store).tell(STAGE, Asks())
    made(store).forget_answers("q")
    made(store).forget_vitals([SHARD])
    assert [name for name in store.list("run/") if "/orders/" not in name] == []


def test_children_of_a_folder_see_what_is_asked_for_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert not made(store).is_dear
    assert made(store).sees_any(STAGE) is False
    made(store).tell(STAGE, ASKS)
    before = store.requests.total()
    assert made(store).sees_any(STAGE) is True
    assert store.requests.total() == before
    with pytest.raises(MissingObjectError):  # nobody needs them there
        Run(store, "run").read_orders(STAGE)


def test_children_see_nothing_of_a_folder_that_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inquiries = made(Store(tmp_path.as_uri()))

    def away(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", away)
        seen = inquiries.sees_any(STAGE)
    assert seen is False


def test_elsewhere_orders_that_say_nothing_make_them_look() -> None:
    store = Store("memory://")
    assert made(store).is_dear
    assert made(store).sees_any(STAGE) is None
    made(store).tell(STAGE, ASKS)
    assert Run(store, "run").read_orders(STAGE) == Orders()


def test_what_a_session_has_ordered_is_never_overwritten() -> None:
    store = Store("memory://")
    run, orders = Run(store, "run"), Orders(frozenset({1}), frozenset({2}))
    run.tell_orders(STAGE, orders)
    made(store).tell(STAGE, ASKS)
    made(store).tell(STAGE, Asks())
    assert run.read_orders(STAGE) == orders


def test_packs_tell_how_many_shards_there_are(store: Store) -> None:
    run = Run(store, "run")
    run.write_pack(STAGE, [])
    store.put("run/packs/strange", [b"?"])
    store.put(f"run/packs/{StageId(0, 1).stored}", [b"damaged....."])
    assert run.inquiries.planned() == {STAGE: 0}
