"""What an all-to-all asks of S3: requests and bytes as formulas of shards, not of pieces."""

from __future__ import annotations

import pytest

from dask_knot.run.manifest import INLINE_BYTES
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from tests.job.runs import FIRST, SECOND, Rehearsal, made, ref, shard, task

#: What each piece has beside its own bytes at most: its frames, and up to the next one.
FRAME = 1024


def piece(value: int, size: int) -> bytes:
    return bytes([value % 256]) * size


def total(*pieces: bytes) -> int:
    return sum(len(one) for one in pieces)


@pytest.fixture
def far() -> Store:
    """Open a store whose requests take time, as those of S3 do."""
    store = Store("memory://")
    store.is_near = False
    return store


def start(run: Rehearsal, id: ShardId) -> None:
    """Run a shard in a process of its own, as far as it counts."""
    run.store.requests.clear()
    run.store.moved.clear()
    run.start(id)


def all_to_all(run: Rehearsal, writers: int, readers: int, each: int, size: int) -> None:
    """Run shards of which each makes `each` pieces for each of the shards that read them.

    Their outputs are in the order of the readers, as the planner lists them.
    """
    first = [
        shard(
            [
                task(("piece", writer, reader, number), piece, number, size)
                for number in range(each)
                for reader in range(readers)
            ],
            outputs=[("piece", writer, r, n) for r in range(readers) for n in range(each)],
        )
        for writer in range(writers)
    ]
    run.write(*first)
    places = {
        k: v for w, work in enumerate(first) for k, v in made(work, ShardId(FIRST, w)).items()
    }
    second = [
        shard(
            [
                task(
                    ("sum", reader, number),
                    total,
                    *[ref(k) for k in places if k[2:] == (reader, number)],
                )
                for number in range(each)
            ],
            inputs={key: place for key, place in places.items() if key[2] == reader},
        )
        for reader in range(readers)
    ]
    run.write(*second, stage=SECOND)
    for writer in range(writers):
        start(run, ShardId(FIRST, writer))
    for reader in range(readers):
        start(run, ShardId(SECOND, reader))
        found = run.read(second[reader], ShardId(SECOND, reader))
        assert list(found.values()) == [writers * size] * each


@pytest.mark.parametrize("each", [1, 7], ids="pieces-{}".format)
@pytest.mark.parametrize(("writers", "readers"), [(1, 1), (2, 5), (6, 3)], ids=str)
def test_requests_and_bytes_follow_shards(
    far: Store, writers: int, readers: int, each: int
) -> None:
    run, size = Rehearsal(far), 2 * INLINE_BYTES
    all_to_all(run, writers, readers, each, size)
    pieces = readers * each
    for writer in range(writers):
        told = run.manifest(ShardId(FIRST, writer))
        assert told.requests["put"] == 2  # the pieces in one object, and the manifest
        assert told.requests["get"] <= 3  # the pack
        assert pieces * size <= told.moved["written"] <= pieces * (size + FRAME)
    for reader in range(readers):
        told = run.manifest(ShardId(SECOND, reader))
        # The pack; of each upstream shard the manifest, and one range of its object.
        assert told.requests["get"] <= 3 + 2 * writers
        assert told.requests["put"] == 1  # sums are inside the manifest
        assert told.moved["read"] >= writers * each * size
