"""What a shard hands over is claimed once, before anybody hears of it; the child may be first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dask_knot.errors import ReadOnlyStoreError, StoreError
from dask_knot.run.manifest import Handed, Manifest
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.orders import Claimant
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.claims import Claims

SHARD = ShardId(StageId(1, 0), 3)
PART = Manifest(False, 1, (), handed=Handed((0,), {"inc": 1}))


@pytest.fixture
def store() -> Store:
    return Store("memory://")


@pytest.fixture
def run(store: Store) -> Run:
    return Run(store, "run")


def test_what_is_handed_over_is_claimed_once(run: Run, store: Store) -> None:
    claims = Claims(run)
    store.requests.clear()
    for _ in range(2):
        assert claims.settle(SHARD, PART) == PART
    assert store.requests == {"put": 1}
    assert run.claim(SHARD, Claimant.CHILD) is Claimant.CLIENT


def test_a_claim_of_another_client_counts(run: Run) -> None:
    assert Claims(run).settle(SHARD, PART).handed
    assert Claims(run).settle(SHARD, PART).handed


def test_a_child_that_was_first_hands_nothing_over(run: Run) -> None:
    run.claim(SHARD, Claimant.CHILD)
    assert Claims(run).settle(SHARD, PART) == replace(PART, handed=None)


@pytest.mark.parametrize("manifest", [Manifest(False, 1, ()), Manifest(True, 1, ())])
def test_nothing_is_claimed_where_nothing_is_handed_over(run: Run, manifest: Manifest) -> None:
    assert Claims(run).settle(SHARD, manifest) is manifest
    assert run.claim(SHARD, Claimant.CHILD) is Claimant.CHILD


def test_a_last_manifest_hands_over_what_a_client_has_claimed(run: Run) -> None:
    last = replace(PART, final=True)
    assert Claims(run).settle(SHARD, last) is last


def test_a_damaged_claim_is_left_to_the_child(run: Run, store: Store) -> None:
    store.put(run.names.claim(SHARD), [b"no claim"])
    assert Claims(run).settle(SHARD, PART).handed is None


def test_who_can_only_read_claims_nothing(run: Run) -> None:
    def refuse(shard: ShardId, claimant: Claimant) -> Claimant:
        raise ReadOnlyStoreError("only to be read")

    run.claim = refuse  # type: ignore[method-assign]
    assert Claims(run).settle(SHARD, PART).handed is None


def test_nothing_is_decided_while_the_store_is_away(run: Run) -> None:
    claims, claim = Claims(run), run.claim

    def fail(shard: ShardId, claimant: Claimant) -> Claimant:
        raise StoreError("away")

    run.claim = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        claims.settle(SHARD, PART)
    run.claim = claim  # type: ignore[method-assign]
    assert claims.settle(SHARD, PART).handed
