"""Which manifests are read to learn what became of the outputs of shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.run.names import ShardId, StageId
from dask_knot.runs.commits import read_commits
from tests.runs.stores import MadeRun

DONE, BEGUN, LATER, LOST, WAITS = (ShardId(StageId(0, 0), index) for index in range(5))


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """Make a shard that is done and has parts, two that have begun, a lost one, one that waits."""
    made = MadeRun(tmp_path)
    made.part(DONE, 0, values=[0])
    made.finish(DONE)
    made.part(BEGUN, 0, values=[4])
    made.part(BEGUN, 1, values=[2, 3])
    made.part(LATER, 0, values=[1])
    made.part(LOST, 0, values=[5])
    made.lose(LOST)
    return made


@pytest.mark.parametrize(
    ("most", "begun", "later", "lost"),
    [
        (None, [4, 2, 3], [1], [5]),
        (4, [4, 2, 3], [1], [5]),
        (3, [4, 2, 3], [1], []),
        (1, [4], [], []),
        (0, [], [], []),
    ],
)
def test_of_shards_that_are_not_done_so_many_parts_are_read(
    made: MadeRun, most: int | None, begun: list[int], later: list[int], lost: list[int]
) -> None:
    survey, store = made.run.survey(), made.run._store
    store.requests.clear()
    found = read_commits(made.run, survey, [BEGUN, WAITS, DONE, LATER, LOST], most)
    told = [
        [one.ordinal for manifest in manifests for one in manifest.outputs] for manifests in found
    ]
    assert told == [begun, [], [0], later, lost]
    parts = 4 if most is None else most
    assert store.requests["get"] == parts + 1  # the last manifest of the one that is done


def test_what_can_not_be_read_is_left_out(made: MadeRun) -> None:
    survey, store = made.run.survey(), made.run._store
    store.delete([made.run.names.manifest(BEGUN, 0)])
    store.put(made.run.names.manifest(LATER, 0), [b"damaged"])
    found = list(read_commits(made.run, survey, [BEGUN, LATER, DONE]))
    assert [len(manifests) for manifests in found] == [1, 0, 1]
