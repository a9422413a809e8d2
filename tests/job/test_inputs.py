"""Inputs come from wherever they are; those that are lost fail the tasks that read them, only."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.job import inputs as inputs_module
from dask_knot.planning import Cost, Limits, PlanRequest, make_plan
from dask_knot.run.failure import Failure, fail
from dask_knot.run.manifest import Handed, Manifest, Place
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.run.work import Options, ShardOutput, ShardWork, Source

from .runs import FIRST, SECOND, Rehearsal, made, ref, shard, task

MAKER = ShardId(FIRST, 0)
READER = ShardId(SECOND, 0)


class AwayStore(Store):
    """A store whose manifests can't be read at the moment."""

    def get(self, name: str) -> memoryview:
        raise StoreError("no route to the store")


def maker(**options: Any) -> ShardWork:
    """Make a shard with small and large values, and an error."""
    return shard(
        [
            task("small", int, 5),
            task("large", np.arange, 20_000),
            task("bad", operator.truediv, 1, 0),
            task("larger", np.arange, 40_000),
            task("text", str, "some text"),
        ],
        options=Options(**options),
    )


def reader(source: ShardWork, **options: Any) -> ShardWork:
    """Make a shard of which each task reads one value of another shard."""
    return shard(
        [task(f"{key} read", _same, ref(key)) for key in source.outputs],
        inputs=made(source, MAKER),
        options=Options(**options),
    )


def place_of(run: Rehearsal, source: ShardWork, key: Key) -> Place:
    """Find a value of the first shard."""
    ordinal = source.outputs.index(key)
    (place,) = (o.place for o in run.manifest(MAKER).outputs if o.ordinal == ordinal)
    return place


def _count(*pieces: object) -> int:
    return len(pieces)


def _same(value: object) -> object:
    return value


@pytest.mark.parametrize("part_seconds", [5.0, 0.0])
@pytest.mark.parametrize("cores", [1, 4])
def test_values_of_another_shard_are_read(run: Rehearsal, part_seconds: float, cores: int) -> None:
    source = maker(part_seconds=part_seconds)
    run.outcomes(source)
    found = run.outcomes(reader(source, cores=cores), SECOND)
    np.testing.assert_array_equal(found.pop("large read"), np.arange(20_000))
    np.testing.assert_array_equal(found.pop("larger read"), np.arange(40_000))
    assert isinstance(found.pop("bad read").load(), ZeroDivisionError)
    assert found == {"small read": 5, "text read": "some text"}


def test_a_place_a_shard_and_a_failure_may_be_read_together(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    place = place_of(run, source, "large")
    inputs = {
        "placed": place,
        "made": ShardOutput(MAKER, 0),
        "failed": fail(LookupError("gone"), "failed"),
    }
    tasks = [task(f"{key} read", np.max, ref(key)) for key in inputs]
    found = run.outcomes(shard(tasks, inputs=inputs), SECOND)
    assert isinstance(found.pop("failed read").load(), LookupError)
    assert found == {"placed read": 19_999, "made read": 5}


def test_one_range_is_read_of_an_object(run: Rehearsal) -> None:
    source = shard([task(n, np.full, 200_000, n) for n in range(50)])
    run.outcomes(source)
    run.write(reader(source), stage=SECOND)
    run.store.requests.clear()
    run.start(READER)
    # Two reads for the shard, one for the manifest; 80 MB of neighbors are one request.
    assert run.store.requests["get"] == 4


@pytest.mark.parametrize(("shards", "blocks"), [(2, 6), (3, 9), (5, 5)])
def test_requests_of_all_to_all_grow_with_shards(run: Rehearsal, shards: int, blocks: int) -> None:
    """Each reading shard reads a manifest and a range of each that makes pieces, however many."""
    whole = {f"load-{n}": task(f"load-{n}", np.full, 10_000, n) for n in range(blocks)}
    cut = {
        f"split-{n}-{m}": task(f"split-{n}-{m}", _same, ref(f"load-{n}"))
        for n in range(blocks)
        for m in range(blocks)
    }
    joined = {
        f"join-{m}": task(f"join-{m}", _count, *(ref(f"split-{n}-{m}") for n in range(blocks)))
        for m in range(blocks)
    }
    nodes = {**whole, **cut, **joined}
    costs = {prefix: Cost(1.0) for prefix in ("load", "split", "join")}
    dependencies = {key: sorted(node.dependencies) for key, node in nodes.items()}
    limits = Limits(shards, shards_per_slot=1)
    plan = make_plan(PlanRequest(dependencies, [*joined], limits, costs=costs))
    assert [len(stage.shards) for stage in plan.stages] == [shards, shards]
    where: dict[Key, Source] = {}
    for number, stage in enumerate(plan.stages):
        works = [
            shard(
                [nodes[key] for key in one.tasks],
                outputs=one.outputs,
                inputs={key: where[key] for key in one.inputs},
            )
            for one in stage.shards
        ]
        id = StageId(0, number)
        run.write(*works, stage=id)
        for index, work in enumerate(works):
            run.store.requests.clear()
            run.start(ShardId(id, index))
            assert run.store.requests["get"] == 2 + 2 * shards * number
            assert run.store.requests["put"] == 2 - number
            where |= made(work, ShardId(id, index))


def test_a_range_ends_where_the_window_does(run: Rehearsal) -> None:
    source = shard([task(n, np.full, 10_000, n) for n in range(50)])
    run.outcomes(source)
    opened = inputs_module.Inputs(run, made(source, MAKER), window=200_000)
    run.store.requests.clear()
    opened.start(source.outputs)
    assert [int(opened.take(n)[-1]) for n in range(50)] == [*range(50)]
    opened.close()
    assert run.store.requests["get"] == 1 + 25


@pytest.mark.parametrize("backwards", [False, True])
def test_no_more_is_read_ahead_than_two_windows(run: Rehearsal, backwards: bool) -> None:
    source = shard([task(n, np.full, 10_000, n) for n in range(50)])
    run.outcomes(source)
    opened = inputs_module.Inputs(run, made(source, MAKER), window=200_000)
    run.store.moved.clear()
    opened.start(source.outputs)
    order = range(49, -1, -1) if backwards else range(50)
    for taken, number in enumerate(order):
        assert opened.take(number)[0] == number
        # What was asked for out of turn comes beside it, with what lies in its window.
        assert run.store.moved["read"] <= 100_000 * (taken + 8)
    opened.close()
    assert run.store.moved["read"] < 52 * 81_000


def test_a_gap_is_read_where_that_is_cheaper(run: Rehearsal) -> None:
    source = shard([task(n, np.full, 10_000, n) for n in range(9)])
    run.outcomes(source)
    places = [place_of(run, source, n) for n in range(9)]
    sparse = {n: places[n] for n in (0, 1, 3, 8)}
    opened = inputs_module.Inputs(run, sparse)
    run.store.requests.clear()
    opened.start(sparse)
    assert [int(opened.take(n)[0]) for n in sparse] == [0, 1, 3, 8]
    opened.close()
    assert run.store.requests["get"] == 2


@pytest.mark.parametrize(
    ("memory", "window"),
    [(0, 2**29), (2**20, 2**26), (2**31, 2**28), (2**40, 2**30)],
)
def test_the_window_is_a_part_of_the_memory(memory: int, window: int) -> None:
    assert inputs_module.window_within(memory) == window


def test_order_does_not_matter(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    opened = inputs_module.Inputs(run, made(source, MAKER))
    opened.start(source.outputs)
    assert opened.take("text") == "some text"
    assert opened.take("larger")[-1] == 39_999
    assert opened.take("small") == 5
    assert opened.take("large")[-1] == 19_999
    assert "large" in opened
    assert "other" not in opened
    opened.close()


def _outcomes_after(run: Rehearsal, source: ShardWork) -> tuple[set[str], set[type]]:
    """Read all values; tell which tasks failed for want of their input, and how."""
    found = run.outcomes(reader(source), SECOND)
    assert len(found) == len(source.outputs)
    lost = {
        key: failure
        for key, failure in found.items()
        if isinstance(failure, Failure) and isinstance(failure.load(), StoreError)
    }
    for key, failure in lost.items():
        assert repr(key.removesuffix(" read")) in str(failure.load())
    return {key.removesuffix(" read") for key in lost}, {type(f.load()) for f in lost.values()}


def test_a_corrupt_value_fails_its_readers_only(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    place = place_of(run, source, "large")
    data = bytearray(run.store.get(place.name))
    data[place.offset + place.length - 1] ^= 1
    run.store.put(place.name, [data])
    assert _outcomes_after(run, source) == ({"large"}, {CorruptObjectError})


def test_a_corrupt_small_value_fails_its_readers_only(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    place = place_of(run, source, "small")
    data = bytearray(run.store.get(place.name))
    data[place.offset + place.length - 1] ^= 1
    run.store.put(place.name, [data])
    assert _outcomes_after(run, source) == ({"small"}, {CorruptObjectError})


def test_a_missing_object_fails_the_readers_of_its_values(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    run.store.delete([place_of(run, source, "large").name])
    assert _outcomes_after(run, source) == ({"large", "larger"}, {MissingObjectError})


@pytest.mark.parametrize("how", ["missing", "corrupt"])
def test_a_lost_manifest_fails_the_readers_of_that_shard(run: Rehearsal, how: str) -> None:
    works = [shard([task("a", int, 1)]), shard([task("b", int, 2), task("c", int, 3)])]
    run.write(*works)
    for index in range(2):
        run.start(ShardId(FIRST, index))
    lost = run.names.manifest(ShardId(FIRST, 1))
    if how == "missing":
        run.store.delete([lost])
    else:
        run.store.put(lost, [run.store.get(lost)[:30]])
    inputs = made(works[0], ShardId(FIRST, 0)) | made(works[1], ShardId(FIRST, 1))
    tasks = [task(f"{key} read", operator.neg, ref(key)) for key in inputs]
    found = run.outcomes(shard([*tasks, task("none", int, 0)], inputs=inputs), SECOND)
    kind = MissingObjectError if how == "missing" else CorruptObjectError
    for key in ("b", "c"):
        error = found.pop(f"{key} read").load()
        assert isinstance(error, kind)
        assert f"value of {key!r}, which this task reads, is lost" in str(error)
    assert found == {"a read": -1, "none": 0}


def test_a_store_that_is_away_is_no_error_of_tasks(run: Rehearsal) -> None:
    source = maker()
    run.outcomes(source)
    run.write(reader(source), stage=SECOND)
    with pytest.raises(StoreError, match="no route"):
        run.start(READER, store=AwayStore(run.store.url))
    assert len(run.files("manifests/")) == 1  # that of the maker: another attempt may succeed


def test_a_value_that_cannot_be_loaded_fails_its_readers_only(run: Rehearsal) -> None:
    name = "run/data/00/foreign"
    run.store.put(name, [b"x" * 100])
    inputs = {"foreign": Place(name, 0, 100)}
    tasks = [task("reads", _same, ref("foreign")), task("fine", int, 1)]
    found = run.outcomes(shard(tasks, inputs=inputs))
    assert found.pop("fine") == 1
    assert "not a value that dask_knot wrote" in str(found["reads"].load())


def test_an_input_that_was_handed_over_is_lost_here(run: Rehearsal) -> None:
    """Its reader was submitted before: it is planned again, behind whoever makes the value now.

    So is the reader of what an attempt didn't know to be needed, as it knew of no hand-over.
    """
    handed = Manifest(True, 1, [], handed=Handed([1], {"b": 1}))
    assert run.write_manifest(ManifestId(MAKER, None), handed, []) is not None
    tasks = [task("reads", _same, ref("b")), task("other", int, 1), task("no", _same, ref("c"))]
    inputs: dict[Key, Source] = {"b": ShardOutput(MAKER, 1), "c": ShardOutput(MAKER, 2)}
    found = run.outcomes(shard(tasks, inputs=inputs), SECOND)
    assert found["other"] == 1
    assert isinstance(found["reads"].load(), MissingObjectError)
    assert found["reads"].lost == (run.names.manifest(MAKER),)
    assert found["no"].lost == found["reads"].lost
    assert run.manifest(READER).lost == dict.fromkeys((0, 2), (run.names.manifest(MAKER),))
