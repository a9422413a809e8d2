"""What annotations say of earlier values and of files, however they came to their tasks."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import pytest
from dask.typing import Key
from distributed.protocol import Serialized

from dask_knot.digests import Digester
from dask_knot.errors import ConfigurationError
from dask_knot.graphs.annotations import Bounds, for_dask, task_reuse, task_seconds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.needs import TaskReuse
from dask_knot.graphs.opening import Digesting, OpenedGraph, open_graph, send_graph
from dask_knot.planning import Resources

BOUNDS = Bounds(Resources(vcpus=2, memory=2**30, timeout=600), Resources(8, 2**33, 2))
FRESH = {"reuse": False}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)


def digested(collection: Any, everywhere: Mapping[str, Any] | None = None) -> OpenedGraph:
    """Open a graph as a named run's session does."""
    sent = send_graph([collection])
    return opened(sent.packed, sent.keys, sent.annotations if everywhere is None else everywhere)


def opened(packed: Serialized, keys: Any, everywhere: Mapping[str, Any]) -> OpenedGraph:
    digesting = Digesting(Digester(), lambda key: None)
    return open_graph(packed, keys, everywhere, BOUNDS, Constants(), digesting=digesting)


def has_digest(found: OpenedGraph) -> bool:
    """Tell whether all wanted keys have one; if not, none may have."""
    known = {key in found.graph.digests for key in found.graph.wanted}
    assert len(known) == 1
    return known.pop()


def test_by_key_or_for_all() -> None:
    said = TaskReuse(is_fresh=True)
    inputs = TaskReuse(inputs=("a.csv",))
    by_key: dict[str, dict[Key, Any]] = {"knot": {"a": FRESH, "b": {"vcpus": 4}}}
    assert task_reuse("abc", by_key, {}) == {"a": said}
    assert task_reuse("abc", {}, {"knot": FRESH}) == dict.fromkeys("abc", said)
    # As with all annotations of Dask, the one that is nearest holds.
    general = {"knot": {"inputs": ["a.csv"]}}
    assert task_reuse("abc", by_key, general) == {"a": said, "c": inputs}
    called = {"knot": lambda key: FRESH if key == "c" else None}
    assert task_reuse("abc", {}, called) == {"c": said}
    assert task_reuse("abc", {}, {"knot": None}) == {}


def test_seconds_by_key_or_for_all() -> None:
    hour = {"seconds": "1 hour"}
    by_key: dict[str, dict[Key, Any]] = {"knot": {"a": hour, "b": {"vcpus": 4}}}
    assert task_seconds("abc", by_key, {}) == {"a": 3600.0}
    assert task_seconds("abc", by_key, {"knot": {"seconds": 2}}) == {"a": 3600.0, "c": 2.0}
    called = {"knot": lambda key: {"seconds": 0.5} if key == "c" else None}
    assert task_seconds("abc", {}, called) == {"c": 0.5}
    assert task_seconds("abc", {}, {"knot": {"seconds": None}}) == {}


def delayed() -> Any:
    return dask.delayed(operator.neg)(3)


def array() -> Any:
    return pytest.importorskip("dask.array").arange(6, chunks=3) + 1


def bag() -> Any:
    return pytest.importorskip("dask.bag").from_sequence(range(4), npartitions=2).map(operator.neg)


@pytest.mark.parametrize("make", [delayed, array, bag])
@pytest.mark.parametrize("is_at_once", [False, True])
def test_whatever_was_made_in_it_is_fresh(make: Any, is_at_once: bool) -> None:
    assert has_digest(digested(make()))
    with dask.annotate(knot=FRESH):
        found = make()
        if is_at_once:
            assert not has_digest(digested(make()))
    assert not has_digest(digested(found))


@pytest.mark.parametrize("make", [delayed, array, bag])
def test_whatever_was_made_in_it_takes_so_long(make: Any) -> None:
    assert not digested(make()).graph.seconds
    with dask.annotate(knot={"seconds": 90}):
        made = make()
    graph = digested(made).graph
    assert {*graph.seconds.values()} == {90.0}
    assert {*digested(make(), {"knot": {"seconds": 90}}).graph.seconds.values()} == {90.0}


def test_a_frame_is_fresh_where_it_is_computed() -> None:
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(pd.DataFrame({"a": range(6)}), npartitions=2)
    assert has_digest(digested(frame + 1))
    # Dask itself warns who annotates the making of a frame.
    assert not has_digest(digested(frame + 1, {"knot": FRESH}))


def test_fused_tasks_are_fresh_if_one_of_them_is() -> None:
    db = pytest.importorskip("dask.bag")
    with dask.annotate(knot=FRESH, priority=3):
        first = db.from_sequence(range(4), npartitions=2)
    found = digested(first.map(operator.neg))
    assert not has_digest(found)
    assert {*found.graph.priorities.values()} == {3}


def test_what_reads_fresh_work_is_fresh_and_what_it_reads_is_not() -> None:
    first = dask.delayed(operator.neg)(3)
    with dask.annotate(knot=FRESH):
        second = dask.delayed(operator.neg)(first)
    third = dask.delayed(operator.neg)(second)
    found = digested(third).graph.digests
    assert first.key in found
    assert second.key not in found
    assert third.key not in found


def test_inputs_are_part_of_the_work() -> None:
    path = Path("a.csv")

    def look() -> bytes:
        with dask.annotate(knot={"inputs": ["a.csv"]}):
            made = dask.delayed(operator.neg, pure=True)(3)
        return digested(made).graph.digests[made.key]

    for text in ("1", "22"):
        path.write_text(text)
        os.utime(path, (10**9, 10**9))
        seen = {look(), look()}
        assert len(seen) == 1
        without = dask.delayed(operator.neg, pure=True)(3)
        seen.add(digested(without).graph.digests[without.key])
        assert len(seen) == 2
        path.with_suffix(f".{text}").write_bytes(look())
    assert Path("a.1").read_bytes() != Path("a.22").read_bytes()


def test_inputs_that_are_not_there_are_told() -> None:
    with dask.annotate(knot={"inputs": ["no-such.csv"]}):
        made = delayed()
    found = digested(made)
    assert not has_digest(found)
    assert found.work is not None
    (reason,) = found.work.refusals
    assert "'no-such.csv'" in reason


@pytest.mark.parametrize(
    "knot",
    [{"reuse": "no"}, {"inputs": 3}, {"reused": False}, {"seconds": "soon"}, {"seconds": -1}],
)
@pytest.mark.parametrize("is_everywhere", [False, True])
def test_a_mistake_is_refused_named_run_or_not(knot: dict[str, Any], is_everywhere: bool) -> None:
    general = {"knot": knot} if is_everywhere else {}
    with dask.annotate(**({} if is_everywhere else {"knot": knot})):
        made = delayed()
    sent = send_graph([made])
    packed, keys = sent.packed, sent.keys
    with pytest.raises(ConfigurationError, match=r"knot"):
        opened(packed, keys, general)
    with pytest.raises(ConfigurationError, match=r"knot"):
        open_graph(packed, keys, general, BOUNDS, Constants())


def test_dask_is_told_nothing_of_it() -> None:
    assert for_dask({"knot": {"a": FRESH}}, {"knot": FRESH, "mine": 1}) == {"mine": 1}
