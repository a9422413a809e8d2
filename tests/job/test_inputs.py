"""Inputs come from wherever they are; those that are lost fail the tasks that read them, only."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.job import inputs as inputs_module
from dask_knot.run import layout
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


def place_of(run: Rehearsal, source: ShardWork, key: str) -> Place:
    """Find a value of the first shard."""
    ordinal = source.outputs.index(key)
    (place,) = (o.place for o in run.manifest(MAKER).outputs if o.ordinal == ordinal)
    return place


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


def test_neighbours_are_read_in_one_request(run: Rehearsal) -> None:
    source = shard([task(n, np.full, 10_000, n) for n in range(50)])
    run.outcomes(source)
    run.write(reader(source), stage=SECOND)
    run.store.requests.clear()
    run.start(READER)
    # Two reads for the shard, one for the manifest; 4 MB of neighbours are one request.
    assert run.store.requests["get"] == 4


def test_what_is_together_has_a_limit(run: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "TOGETHER_BYTES", 200_000)
    source = shard([task(n, np.full, 10_000, n) for n in range(50)])
    run.outcomes(source)
    content = reader(source)
    run.write(content, stage=SECOND)
    run.store.requests.clear()
    run.start(READER)
    assert run.store.requests["get"] == 3 + 25
    found = run.read(content, READER)
    assert {key: int(value[-1]) for key, value in found.items()} == {
        f"{n} read": n for n in range(50)
    }


def test_many_inputs_are_not_fetched_all_at_once(run: Rehearsal) -> None:
    count = 3 * inputs_module.AHEAD
    places = {}
    for number in range(count):
        source = shard([task(number, np.full, 10_000, number)])
        stage = StageId(0, number)
        run.outcomes(source, stage)
        places[number] = run.manifest(ShardId(stage, 0)).outputs[0].place
    opened = inputs_module.Inputs(run, places)
    run.store.requests.clear()
    opened.start(range(count))
    for number in range(count):
        assert opened.take(number)[0] == number
        assert run.store.requests["get"] <= inputs_module.AHEAD + number + 1
    opened.close()


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
