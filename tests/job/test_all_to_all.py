"""What Dask's own all-to-alls ask of S3: requests and bytes as formulas of the plan's shards.

Graphs are opened, planned and submitted as those of a client are, and each shard runs as in a job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.typing import Key

from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.cluster.process import SHUFFLES, unsaid
from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import open_graph, send_graph
from dask_knot.planning import Limits, Plan, PlanRequest, Resources, Shard, make_plan
from dask_knot.planning.passes import affordable_passes
from dask_knot.run import codec
from dask_knot.run.manifest import INLINE_BYTES, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.constants import StoredConstants
from dask_knot.session.hooks import nobody
from dask_knot.session.outages import Endurance
from dask_knot.session.submission import Submitter
from dask_knot.tracking.actions import SubmitPlan
from tests.job.runs import Rehearsal
from tests.local.recording import RecordingBatch

SIZE = Resources(1, 2**30)
SLOTS = 4
#: What each value has beside its arrays at most: its pickle, its frames, and up to the next one.
FRAME = 1536
#: Of a block of an array: so many of each row are a piece that is not inside a manifest.
SIDE = 96
#: Of a dataframe, for each of the pieces that a partition is cut into.
ROWS = 5_000


class Made(NamedTuple):
    """A value that left a shard: where it is, and the bytes of its arrays."""

    maker: ShardId
    place: Place
    size: int


class Counted(NamedTuple):
    """What a shard has asked, and what its plan lets one expect: (requests, fewest, most bytes)."""

    requests: Mapping[str, int]
    moved: Mapping[str, int]
    read: tuple[int, int, int]
    written: tuple[int, int, int]


class AllToAll(Rehearsal):
    """Runs a collection, and counts what each of its shards asks."""

    def __init__(self) -> None:
        super().__init__(Store("memory://"))
        self.store.is_near = False  # as S3 is
        self.made: dict[Key, Made] = {}

    def submit(self, collection: Any) -> Plan:
        """Plan a collection for some slots, and write the packs."""
        sent = send_graph([collection])
        graph = open_graph(sent.packed, sent.keys, {}, Bounds(SIZE, SIZE), Constants()).graph
        dependencies = {key: node.dependencies for key, node in graph.tasks.items()}
        limits = Limits(SLOTS, shards_per_slot=1)
        plan = make_plan(PlanRequest(dependencies, graph.wanted, limits, literals=graph.literals))
        service = JobService(RecordingBatch(), JobTemplate("n", "q", "i"), lambda *_: ())
        endurance = Endurance(Clockwork(), nobody)
        options = Options(part_seconds=3600)  # a slow machine makes no part of a shard
        submitter = Submitter(self, service, options, StoredConstants(self), endurance)
        assert list(submitter.submit(SubmitPlan(0, plan, graph.tasks, {}))) == []
        return plan

    def count(self, plan: Plan) -> Iterator[Counted]:
        """Run the shards of a plan, one after another."""
        for number, stage in enumerate(plan.stages):
            for index, shard in enumerate(stage.shards):
                yield self._count(ShardId(StageId(0, number), index), shard)

    def _count(self, id: ShardId, shard: Shard) -> Counted:
        pack, pack_bytes = self._of_pack(id)
        self._forget()
        self.start(id)
        told = self.manifest(id)
        assert sorted(output.ordinal for output in told.outputs) == [*range(len(shard.outputs))]
        for output in told.outputs:
            data = self.read_value(output.place)
            size = sum(one.nbytes for one in codec.unframe(data)[1:])
            self.made[shard.outputs[output.ordinal]] = Made(id, output.place, size)
        crossing = [self.made[key] for key in shard.inputs]
        leaving = [self.made[key] for key in shard.outputs]
        manifests = {self.names.manifest(one.maker) for one in crossing}
        objects = {one.place.name for one in crossing} - manifests
        beside = pack_bytes + sum(self.store.get(name).nbytes for name in manifests)
        far = [one.size for one in crossing if one.place.name in objects]
        left = {one.place.name for one in leaving} - {self.names.manifest(id)}
        return Counted(
            told.requests,
            told.moved,
            (
                pack + len(manifests) + len(objects),
                beside + sum(far),
                beside + sum(far) + FRAME * len(far),
            ),
            (
                1 + bool(left),
                sum(one.size for one in leaving),
                sum(one.size + FRAME for one in leaving),
            ),
        )

    def _of_pack(self, id: ShardId) -> tuple[int, int]:
        """Read a shard of its pack, to know the requests and bytes of that alone."""
        self._forget()
        self.read_shard(id)
        return self.store.requests.total(), self.store.moved["read"]

    def _forget(self) -> None:
        self.store.requests.clear()
        self.store.moved.clear()


def part(number: int, name: str, parts: int) -> pd.DataFrame:
    """Make a partition whose keys are in no other one of its dataframe, in no order."""
    keys = np.random.default_rng(number).permutation(ROWS * parts) * parts + number
    return pd.DataFrame({"key": keys, name: keys / 2})


def frame(name: str, parts: int) -> dd.DataFrame:
    meta = pd.DataFrame({"key": np.array([], int), name: np.array([], float)})
    return dd.from_map(partial(part, name=name, parts=parts), range(parts), meta=meta)


def rechunk(blocks: int) -> da.Array:
    side = SIDE * blocks
    rows = da.random.default_rng(0).random((side, side), chunks=(SIDE, side))
    return rows.rechunk((side, SIDE))


def shuffle(parts: int) -> dd.DataFrame:
    return frame("left", parts).shuffle("key")


def merge(parts: int) -> dd.DataFrame:
    return frame("left", parts).merge(frame("right", parts), on="key")


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    """Let Dask make graphs as it does while a cluster is open."""
    with dask.config.set({**SHUFFLES, **unsaid(affordable_passes(1e8, SIZE.memory))}):
        yield


@pytest.mark.parametrize(
    ("make", "width", "pieces"),
    [(rechunk, 8, 64), (shuffle, 4, 16), (merge, 4, 32)],
    ids=["rechunk", "shuffle", "merge"],
)
def test_requests_and_bytes_follow_shards_and_not_pieces(
    make: Callable[[int], Any], width: int, pieces: int
) -> None:
    asked = []
    for times in (1, 2):  # four times as many pieces
        run = AllToAll()
        plan = run.submit(make(times * width))
        counts = [*run.count(plan)]
        assert [len(stage.shards) for stage in plan.stages] == [SLOTS, SLOTS, 1]
        cut = [run.made[key] for shard in plan.stages[0].shards for key in shard.outputs]
        assert len(cut) == times**2 * pieces
        assert min(one.size for one in cut) > INLINE_BYTES
        for found in counts:
            assert found.requests == {"get": found.read[0], "put": found.written[0]}
            assert found.read[1] <= found.moved["read"] <= found.read[2]
            assert found.written[1] <= found.moved["written"] <= found.written[2]
        # A reader of all: the two of its pack, and of each shard a manifest and a range.
        assert {one.requests["get"] for one in counts[SLOTS:]} == {2 + 2 * SLOTS}
        asked.append([one.requests for one in counts])
    assert asked[0] == asked[1]


def test_each_byte_of_a_rechunk_is_written_once_and_read_once() -> None:
    run, blocks = AllToAll(), 8
    plan = run.submit(array := rechunk(blocks))
    counts = [*run.count(plan)]
    pieces = FRAME * blocks**2
    written = sum(one.moved["written"] for one in counts[:SLOTS])
    assert array.nbytes <= written <= array.nbytes + 2 * pieces
    read = sum(one.moved["read"] for one in counts[SLOTS : 2 * SLOTS])
    # Beside the pieces: the packs, and that all manifests are read by each.
    assert array.nbytes <= read <= array.nbytes + 2 * pieces
    (whole,) = plan.stages[-1].shards
    found = codec.decode(run.read_value(run.made[whole.outputs[0]].place))
    assert np.array_equal(found, array.compute(scheduler="synchronous"))
