"""The catalog: outputs that were recorded, taken by digest and by name."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import NO_DIGEST, PlanRecord, RecordedStage, ScatterRecord
from dask_knot.tracking.catalog import Catalog, Spot


def digest(text: str) -> bytes:
    return text.encode().ljust(16, b".") if text else NO_DIGEST


def plan(number: int, work: dict[str, str], *shards: int, wanted: str = "") -> PlanRecord:
    """Record a plan of one stage: keys and their digests, so many of them for each shard."""
    outputs = shards or (1,) * len(work)
    return PlanRecord(
        number,
        0.0,
        [RecordedStage((), {"f": len(work)}, 1, None, 0, outputs, outputs)],
        list(work),
        b"".join(map(digest, work.values())),
        [n for n, key in enumerate(work) if key in wanted],
    )


def test_an_output_is_found_by_its_work_whatever_its_key_is() -> None:
    catalog = Catalog()
    catalog.add(plan(7, {"a": "x", "b": "y", "c": "z"}, 1, 2))
    spot = catalog.take("other", digest("z"))
    assert spot == Spot(ShardId(StageId(7, 0), 1), 1, 2, 2, 2, digest("z"))
    assert catalog.take("other", digest("z")) == spot
    assert catalog.take("another", digest("z")) is None
    assert not catalog.has("another", digest("z"))
    assert catalog.take("c", digest("unknown")) is None


def test_shards_without_outputs_take_none() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x", "b": "y"}, 0, 1, 0, 1, 0))
    found = [catalog.take(key, digest(work)) for key, work in (("a", "x"), ("b", "y"))]
    assert [spot and (spot.shard.index, spot.ordinal) for spot in found] == [(1, 0), (3, 0)]


def test_equal_work_is_taken_once_each_the_newest_plan_first() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x"}))
    catalog.add(plan(1, {"b": "x", "c": "x"}))
    places = [catalog.take(key, digest("x")) for key in "pqrs"]
    found = [spot and (spot.shard.stage.plan, spot.shard.index) for spot in places]
    assert found == [(1, 0), (1, 1), (0, 0), None]


def test_own_outputs_belong_to_their_keys() -> None:
    catalog = Catalog()
    catalog.add_own(plan(0, {"a": "x", "b": ""}))
    assert catalog.take("other", digest("x")) is None
    assert catalog.take("a", digest("edited")) is None
    assert catalog.take("a", digest("x")) is not None
    assert catalog.take("b", NO_DIGEST) is None


def test_edited_work_of_a_key_is_found_beside_the_old() -> None:
    catalog = Catalog()
    catalog.add_own(plan(0, {"a": "old"}))
    catalog.add(plan(1_000_000, {"a": "new"}))
    spot = catalog.take("a", digest("new"))
    assert spot is not None
    assert spot.shard.stage.plan == 1_000_000


def test_what_a_shard_did_not_make_is_forgotten() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x"}))
    spot = catalog.take("k", digest("x"))
    assert spot is not None
    catalog.forget("k", ShardId(StageId(0, 9), 0))
    assert catalog.take("k", digest("x")) == spot
    catalog.forget("k", spot.shard)
    assert catalog.take("k", digest("x")) is None
    catalog.forget("unknown", spot.shard)


def test_wanted_keys_are_found_by_name_the_newest_first() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x", "b": "y"}, wanted="a"))
    catalog.add(plan(1, {"a": "", "c": "z"}, wanted="ac"))
    catalog.add(ScatterRecord(0, 0.0, {"s": Place("RUN/scattered/0", 0, 9)}))
    spot = catalog.named("a")
    assert isinstance(spot, Spot)
    assert (spot.shard.stage.plan, spot.digest) == (1, None)
    assert catalog.named("b") is None
    assert catalog.named("s") == Place("RUN/scattered/0", 0, 9)
    assert not catalog.knows("nobody")
    catalog.add(plan(2, {"d": "w"}, wanted="d"))  # after the names were looked up
    assert catalog.knows("d")


def test_what_was_taken_by_name_is_nobody_elses() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x", "b": "x"}, wanted="ab"))
    assert catalog.knows("b")
    first = catalog.take("other", digest("x"))
    assert first is not None
    assert first.shard.index == 0
    assert catalog.take("another", digest("x")) is None


def test_a_catalog_that_is_not_used_is_searched_by_name_only() -> None:
    catalog = Catalog(is_used=False)
    catalog.add(plan(0, {"a": "x"}, wanted="a"))
    assert catalog.take("a", digest("x")) is None
    assert not catalog.knows_any_of({"a": digest("x")})
    assert catalog.knows("a")


def test_a_copy_leaves_the_original_alone() -> None:
    catalog = Catalog()
    catalog.add(plan(0, {"a": "x", "b": "x"}))
    copied = catalog.copy(frozenset())
    assert copied.take("p", digest("x")) is not None
    assert copied.take("q", digest("x")) is not None
    assert [catalog.has(key, digest("x")) for key in "pq"] == [True, True]
    assert catalog.take("r", digest("x")) is not None


@given(
    st.lists(st.lists(st.sampled_from("uvwxy"), min_size=1, max_size=6), max_size=4),
    st.lists(st.sampled_from("uvwxyz"), max_size=30),
)
def test_each_output_is_taken_by_one_key_as_long_as_there_are_any(
    plans: list[list[str]], asked: list[str]
) -> None:
    catalog = Catalog()
    for number, works in enumerate(plans):
        catalog.add(plan(number, {f"{number}-{n}": work for n, work in enumerate(works)}))
    left = Counter(work for works in plans for work in works)
    seen = set()
    for number, work in enumerate(asked):
        assert catalog.knows_any_of({f"k{number}": digest(work)}) == (left[work] > 0)
        spot = catalog.take(f"k{number}", digest(work))
        assert (spot is not None) == (left[work] > 0)
        if spot is not None:
            left[work] -= 1
            assert plans[spot.shard.stage.plan][spot.shard.index] == work
            seen.add(spot.shard)
    assert len(seen) == sum(
        1 for n, work in enumerate(asked) if catalog.take(f"k{n}", digest(work))
    )


@pytest.mark.parametrize("is_own", [False, True])
def test_many_outputs_of_equal_work_cost_no_more_than_others(is_own: bool) -> None:
    count = 100_000
    catalog = Catalog()
    record = plan(0, {f"k{n}": "same" for n in range(count)})
    (catalog.add_own if is_own else catalog.add)(record)
    keys = [f"k{n}" if is_own else f"other{n}" for n in range(count)]
    assert all(catalog.take(key, digest("same")) for key in keys)
