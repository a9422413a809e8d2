"""Values of all kinds: equal ones have one digest, others have others, and some have none."""

from __future__ import annotations

import collections
import datetime
import decimal
import functools
import io
import itertools
import operator
import pathlib
import random
import re
import socket
import threading
import types
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Task, TaskRef
from dask._task_spec import Tuple as TupleNode
from dask.typing import Key
from distributed.protocol import pickle
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.digests import Digester, arrays
from dask_knot.digests.graph import GraphDigests

DIGESTER = Digester()


class Own:
    """A class of the user."""

    def __init__(self, value: object) -> None:
        self.value = value

    def get(self) -> object:
        """Give it."""
        return self.value


class Unpicklable:
    """What raises when it is pickled."""

    def __reduce_ex__(self, protocol: object) -> Any:
        raise RuntimeError("not me")


Point = collections.namedtuple("Point", "x y")


def circle() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


#: Each makes a value anew; no two are alike.
VALUES: list[Callable[[], Any]] = [
    *(lambda v=v: v for v in (None, 1, 1.0, True, 1 + 0j, "1", b"1", 0.0, -0.0, float("nan"), ...)),
    *(lambda v=v: v for v in (10**5000, (1, 2), slice(1, None), range(3), frozenset({1, 2}))),
    *(
        lambda v=v: eval(v)
        for v in ("[1, 2]", "{1: 2, 3: 4}", "{3: 4, 1: 2}", "{1, 2}", "[[1], 2]")
    ),
    lambda: bytearray(b"1"),
    lambda: collections.OrderedDict(a=1),
    lambda: collections.defaultdict(list, a=[1]),
    lambda: collections.deque([1, 2], 3),
    lambda: Point(1, 2),
    lambda: types.SimpleNamespace(a=1),
    lambda: Own(1),
    lambda: Own(2),
    lambda: Own(1).get,
    lambda: Own,
    circle,
    lambda: datetime.datetime(2020, 1, 1),
    lambda: datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    lambda: datetime.timedelta(1),
    lambda: decimal.Decimal("1.10"),
    lambda: pathlib.PurePosixPath("nowhere/x"),
    lambda: re.compile("a+"),
    lambda: np.arange(6).reshape(2, 3),
    lambda: np.arange(6).reshape(3, 2),
    lambda: np.arange(6, dtype="i4").reshape(2, 3),
    lambda: np.array(["a", "bc"]),
    lambda: np.array([1, "a", None, [2]], dtype=object),
    lambda: np.array(["2020-01-01"], dtype="M8[ns]"),
    lambda: np.empty((0, 3)),
    lambda: np.empty((3, 0)),
    lambda: np.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")]),
    lambda: np.broadcast_to(np.float64(1), (10**6, 10**6)),
    lambda: np.ma.array([1, 2], mask=[0, 1]),
    lambda: np.int64(1),
    lambda: np.float32(1),
    lambda: np.dtype("f8"),
    lambda: np.random.default_rng(1),
    lambda: np.random.default_rng(2),
    lambda: np.random.RandomState(3),
    lambda: np.random.SeedSequence(4),
    lambda: random.Random(5),
    lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    lambda: pd.DataFrame({"a": [1, 3], "b": ["x", "y"]}),
    lambda: pd.Series([1.0, 2.0], name="q"),
    lambda: pd.Index(["a", "b"]),
    lambda: pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    lambda: pd.Categorical(["a", "b", "a"]),
    lambda: pd.Timestamp("2020-01-01"),
    lambda: xr.DataArray(np.arange(4.0), dims="x", coords={"x": [1, 2, 3, 4]}, name="n"),
    lambda: xr.Dataset({"v": ("x", [1, 2])}, attrs={"a": "b"}),
    lambda: np.add,
    lambda: np.mean,
    lambda: np.frompyfunc(lambda a: a + 1, 1, 1),
    lambda: np.frompyfunc(lambda a: a + 2, 1, 1),
    lambda: np.vectorize(lambda a: a + 1),
    *(lambda v=v: v for v in (len, str.upper, "a".upper, dict.fromkeys, operator.itemgetter(1))),
    lambda: functools.partial(max, 1),
    lambda: functools.partial(max, 2),
    lambda: functools.lru_cache(lambda x: x),
    lambda: da.ones(3, chunks=3),
]


class FromCython:
    """As functions that Cython 3.1.0 compiled: the module of their class is no text."""

    __module__ = property(lambda _: "numpy.random")  # type: ignore[assignment]


WITHOUT: list[Callable[[], Any]] = [
    threading.Lock,
    threading.Condition,
    socket.socket,
    Unpicklable,
    lambda: io.TextIOWrapper(io.BytesIO()),
    lambda: (each for each in [1]),
    lambda: [1, {"a": threading.Lock()}],
]


def test_equal_values_have_one_digest_and_others_have_others() -> None:
    seen: dict[bytes, int] = {}
    for number, make in enumerate(VALUES):
        found = DIGESTER.of_value(make())
        assert found is not None, number
        assert len(found) == 16
        assert found == DIGESTER.of_value(make()), number
        assert found not in seen, (seen.get(found), number)
        seen[found] = number


def test_values_that_were_sent_are_the_same() -> None:
    for number, make in enumerate(VALUES):
        value = make()
        # One can't be sent, one is too large, and one has another filling afterwards.
        if (
            not isinstance(value, np.ufunc | np.ma.MaskedArray)
            and getattr(value, "size", 0) < 10**6
        ):
            sent = pickle.loads(pickle.dumps(value))
            assert DIGESTER.of_value(sent) == DIGESTER.of_value(value), number


@pytest.mark.parametrize("make", WITHOUT)
def test_what_has_no_content_has_no_digest(make: Callable[[], Any]) -> None:
    value = make()
    assert DIGESTER.of_value(value) is None
    if isinstance(value, socket.socket):
        value.close()


def test_the_module_of_a_class_may_be_no_text() -> None:
    assert arrays.opened(FromCython()) is None


def test_memory_layout_and_sharing_do_not_matter() -> None:
    array = np.arange(24.0).reshape(4, 6)
    same = [np.asfortranarray(array), np.arange(48.0).reshape(4, 12)[:, ::2] / 2]
    assert {DIGESTER.of_value(one) for one in same} == {DIGESTER.of_value(array)}
    shared = [1, [2]]
    assert DIGESTER.of_value([shared, shared]) == DIGESTER.of_value([[1, [2]], [1, [2]]])


def test_deep_values_come_to_an_end() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert DIGESTER.of_value(deep) is not None


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(first=plain, second=plain)
def test_plain_values_differ_as_their_texts_do(first: object, second: object) -> None:
    is_same = repr(first) == repr(second)
    assert (DIGESTER.of_value(first) == DIGESTER.of_value(second)) == is_same


def graph(
    tasks: dict[Key, GraphNode], outside: dict[Key, bytes] | None = None, **more: Any
) -> GraphDigests:
    return DIGESTER.of_graph(tasks, (outside or {}).get, **more)


def test_containers_keywords_and_aliases_count() -> None:
    def digest(node: GraphNode) -> bytes:
        tasks = {"a": DataNode("a", 1), "b": DataNode("b", 2), "x": node}
        return graph(tasks).digests["x"]

    a, b = TaskRef("a"), TaskRef("b")
    nodes = [
        Task("x", max, a, b),
        Task("x", max, b, a),
        Task("x", min, a, b),
        Task("x", max, List(a, b)),
        Task("x", max, TupleNode(a, b)),
        Task("x", max, List(b, a)),
        Task("x", max, Dict({"k": a})),
        Task("x", max, List(a, List(b))),
        Task("x", max, a, key=b),
        Task("x", max, a, default=b),
    ]
    assert len({digest(node) for node in nodes}) == len(nodes)
    assert digest(Alias("x", "a")) == graph({"a": DataNode("a", 1)}).digests["a"]


def test_what_reads_work_without_a_digest_has_none_and_is_no_refusal_of_its_own() -> None:
    tasks: dict[Key, GraphNode] = {
        "reads": Task("reads", abs, TaskRef("lock")),
        "lock": Task("lock", abs, threading.Lock()),
        "fresh": Task("fresh", abs, 1),
        "after": Task("after", abs, TaskRef("fresh")),
        "strange": Task("strange", abs, TaskRef("away")),
        "known": Task("known", abs, TaskRef("here")),
    }
    found = graph(tasks, {"here": b"1" * 16}, fresh={"fresh"})
    assert found.digests.keys() == {"known"}
    assert [one.key for one in found.refusals.values()] == ["lock"]
    other = graph(tasks, {"here": b"2" * 16})
    assert other.digests["known"] != found.digests["known"]


def test_fused_tasks_are_what_their_tasks_are() -> None:
    first = Task("first", operator.add, TaskRef("data"), 1)
    second = Task("second", operator.mul, TaskRef("first"), 2)
    alone = graph({"data": DataNode("data", 5), "first": first, "second": second})
    fused = Task.fuse(first, second, key="second")
    together = graph({"data": DataNode("data", 5), "second": fused})
    assert together.digests["second"] == alone.digests["second"]


def test_codes_are_those_of_a_prefix() -> None:
    def codes(function: Callable[..., Any]) -> dict[str, bytes]:
        tasks = {("load", n): Task(("load", n), function, n) for n in range(3)}
        return dict(graph(tasks).codes)  # type: ignore[arg-type]

    assert codes(abs).keys() == {"load"}
    assert codes(abs) == codes(abs)
    assert codes(abs) != codes(operator.neg)


# Python 3.12 and 3.13 pickle them, and warn that 3.14 doesn't.
@pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support:DeprecationWarning")
def test_iterators_are_what_is_left_of_them() -> None:
    assert DIGESTER.of_value(itertools.count(3)) != DIGESTER.of_value(itertools.count(4))
