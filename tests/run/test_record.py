"""Entries of the record: keys of every kind come back, and a million of them are few bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import CorruptObjectError
from dask_knot.run import record
from dask_knot.run.keys import KeyList
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.run.record import (
    DIGEST_BYTES,
    NO_DIGEST,
    PlanRecord,
    RecordedStage,
    ScatterRecord,
)

from .test_notes import plain


def named(value: object) -> str:
    """Name a case the same in each worker: without the address of an object."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


NAME = "run/log/0000000003"
SIMPLE = st.one_of(
    st.text(st.characters()),
    st.binary(),
    st.integers(),  # of any size
    st.floats(allow_nan=False),
    st.booleans(),
)
KEYS = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=6)
TIMES = st.floats(0, 2**33)
COUNTS = st.integers(0, 2**31)
IDS = st.builds(StageId, COUNTS, st.integers(0, 999))


@st.composite
def plans(draw: st.DrawFn) -> PlanRecord:
    """Make plans whose stages have as many outputs as there are keys and digests."""
    stages, count = [], 0
    for _ in range(draw(st.integers(0, 3))):
        outputs = draw(st.lists(st.integers(0, 3), max_size=4))
        count += sum(outputs)
        prefixes = st.dictionaries(st.text(), COUNTS, max_size=3)
        memory = st.none() | COUNTS
        tasks, before = draw(prefixes), draw(st.lists(IDS, max_size=3))
        sizes = [*range(len(outputs))]
        stages.append(RecordedStage(before, tasks, 0.5, draw(memory), 1, outputs, sizes))
    keys = draw(st.lists(KEYS, min_size=count, max_size=count))
    digests = draw(st.binary(min_size=16 * count, max_size=16 * count))
    wanted = draw(st.lists(st.integers(0, count - 1), unique=True)) if count else []
    codes = draw(st.dictionaries(st.text(), st.binary(max_size=16)))
    limits = draw(st.dictionaries(st.text(), TIMES))
    return PlanRecord(
        draw(COUNTS), draw(TIMES), stages, keys, digests, tuple(wanted), codes, limits
    )


@given(plans())
def test_plans_come_back(plan: PlanRecord) -> None:
    back = record.decode(NAME, b"".join(record.encode(plan)))
    assert plain(back) == plain(plan)
    assert isinstance(back, PlanRecord)
    assert [*map(type, back.keys)] == [*map(type, plan.keys)]
    # What was read is written as it was, without a look at its keys.
    assert record.encode(back) == record.encode(plan)


@given(st.dictionaries(KEYS, st.tuples(st.text(max_size=9), COUNTS, COUNTS)), st.data())
def test_scattered_values_come_back(
    places: dict[Any, tuple[str, int, int]], data: st.DataObject
) -> None:
    digests = {key: b"d" * 16 for key in places if data.draw(st.booleans())}
    entry = ScatterRecord(1, 2.0, {key: Place(*p) for key, p in places.items()}, digests)
    assert record.decode(NAME, b"".join(record.encode(entry))) == entry


class Peculiar:
    """A key that no format has a type for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peculiar) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


@pytest.mark.parametrize(
    "key",
    [
        np.int64(3),
        ("a", np.int32(3)),
        np.float32(0.5),
        np.str_("text"),
        np.bool_(True),
        np.datetime64("2020-01-01"),
        2**100,
        ("a", -(2**70)),
        None,
        frozenset({1}),
        ("a", Peculiar("b")),
        1j,
        "",
        (),
        b"",
        "\udc80",
    ],
    ids=named,
)
def test_keys_of_every_kind_are_equal_and_found_by_their_hash(key: Hashable) -> None:
    (back,) = KeyList.of([key])
    assert back == key
    assert hash(back) == hash(key)


def test_keys_are_looked_at_only_when_somebody_asks() -> None:
    keys = KeyList(b"no keys at all", 3)
    assert len(keys) == 3
    with pytest.raises(Exception, match="incorrect header"):
        keys[0]
    few = KeyList.of(["a", "b"])
    with pytest.raises(CorruptObjectError, match="2 keys instead of 3"):
        list(KeyList(few.packed, 3))


EMPTY = PlanRecord(0, 0.0, [], [], b"", ())
STAGE = RecordedStage([], {}, 1.0, None, 0, [2])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(EMPTY, stages=[STAGE]),
        replace(EMPTY, stages=[STAGE], keys=["a", "b"], digests=NO_DIGEST),
        replace(EMPTY, keys=["a"], digests=NO_DIGEST),
        replace(EMPTY, stages=[STAGE], keys=["a"], digests=NO_DIGEST * 2),
    ],
)
def test_a_plan_that_does_not_add_up_is_refused(wrong: PlanRecord) -> None:
    with pytest.raises(CorruptObjectError, match="can't be decoded"):
        record.decode(NAME, b"".join(record.encode(wrong)))


def test_outputs_are_numbered_through_the_plan() -> None:
    more = replace(STAGE, outputs=[0, 1])
    digests = b"".join(bytes([n]) * DIGEST_BYTES for n in range(3))
    plan = PlanRecord(0, 0.0, [STAGE, more], ["a", "b", "c"], digests, (2,))
    assert plan.starts() == [0, 2, 2]
    assert plan.digest(2) == b"\2" * DIGEST_BYTES


def test_a_million_tasks_are_few_bytes_and_seconds() -> None:
    """Of issue and design: at most 100 MB, and 5 s. Processor time: others may be busy here."""
    count, shards = 1_000_000, 1000
    keys = [("add-0123456789abcdef0123456789abcdef", n // 1000, n % 1000) for n in range(count)]
    digests = np.random.default_rng(0).bytes(count * DIGEST_BYTES)
    outputs = [count // shards] * shards
    stage = RecordedStage([], {"add": count}, 1.0, 2**30, 0, outputs, outputs)
    plan = PlanRecord(0, 0.0, [stage], keys, digests, range(count))
    start = time.process_time()
    data = b"".join(record.encode(plan))
    assert time.process_time() - start < 5
    assert len(data) < 60e6
    start = time.process_time()
    back = record.decode(NAME, data)
    assert time.process_time() - start < 5
    assert isinstance(back, PlanRecord)
    assert back.keys[count - 1] == keys[-1]
