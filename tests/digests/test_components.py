"""Components tell what differs: written, read again, and compared."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from dask._task_spec import Alias, DataNode, Task, TaskRef
from dask.typing import Key

from dask_knot.digests import Digester
from dask_knot.digests.components import Components, decode, encode, explain
from dask_knot.errors import CorruptObjectError

SOURCE = """
SCALE = {scale}

def helper(x):
    return x * SCALE

def clean(x, k={k}):
    return helper(x) + k

def total(*values):
    return sum(values) {operator} 1
"""
OTHER = "b1" * 16
SAME: Mapping[str, Any] = {"scale": 2, "k": 1, "operator": "+", "first": 0, "token": "0" * 32}


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = sys.modules["knot_components"] = ModuleType("knot_components")
    yield made
    del sys.modules["knot_components"]


def components(module: ModuleType, **changed: Any) -> Components:
    """Digest a graph of the program, and give its components as they are read again."""
    words = {**SAME, **changed}
    exec(SOURCE.format(**words), vars(module))
    token = words["token"]
    cleaned: list[Key] = [(f"clean-{token}", number) for number in range(3)]
    tasks: dict[Key, Any] = {}
    read: list[Key] = [(f"load-{token}", number) for number in range(3)]
    tasks |= {key: Task(key, abs, number + words["first"]) for number, key in enumerate(read)}
    turn = 1 if token != SAME["token"] else 0  # the order of keys says nothing
    pairs = zip(cleaned, read[turn:] + read[:turn], strict=True)
    tasks |= {key: Task(key, module.clean, TaskRef(one)) for key, one in pairs}
    tasks["data"] = DataNode("data", words.get("data", 5))
    tasks["total"] = Task("total", module.total, *map(TaskRef, [*cleaned, "data"]))
    tasks["wanted"] = Alias("wanted", "total")
    found = Digester().of_graph(tasks, lambda key: None)
    assert found.digests.keys() == tasks.keys()
    return decode(encode([found.components], {k: t.dependencies for k, t in tasks.items()}))


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, []),
        ({"token": "a1" * 16}, []),
        ({"scale": 3, "token": OTHER}, ["code of clean: SCALE of helper of clean was changed"]),
        ({"scale": 3}, ["code of clean: SCALE of helper of clean was changed"]),
        ({"k": 4}, ["code of clean: defaults of clean was changed"]),
        ({"operator": "-"}, ["code of total: total was changed"]),
        ({"first": 1, "token": OTHER}, [f"an argument of the task ('load-{OTHER}', 2)"]),
        ({"data": 6}, ["an argument of the task data"]),
    ],
    ids=str,
)
def test_what_differs_is_said(
    changed: Mapping[str, Any], lines: list[str], module: ModuleType
) -> None:
    before = components(module)
    assert explain(components(module, **changed), before, "wanted", "wanted") == lines


def test_packages_python_and_files_are_compared() -> None:
    before = Components({"python": "cpython 3.11"}, {"numpy": "1", "gone": "2"}, {"a": b"1"})
    now = Components({"python": "cpython 3.12"}, {"numpy": "2"}, {"a": b"2", "new": b"1"})
    assert explain(now, before, "x", "x") == [
        "python cpython 3.11 -> cpython 3.12",
        "gone 2 -> none",
        "numpy 1 -> 2",
        "the file a was changed",
    ]


def test_a_task_that_reads_something_else(module: ModuleType) -> None:
    before = Components(codes=[{}], tasks={"x": (0, 0), "a-1": (0, 1)}, reads={"x": ["a-1"]})
    now = Components(codes=[{}], tasks={"x": (0, 0), "b-1": (0, 1)}, reads={"x": ["b-1"]})
    assert explain(now, before, "x", "x") == [
        "x now reads b-1",
        "x no longer reads a-1",
    ]


def test_a_task_reads_few_bytes() -> None:
    count = 20_000
    keys: list[Key] = [("sum-0123456789abcdef0123456789abcdef", n, n % 7) for n in range(count)]
    tasks = {key: (0, n * 2_654_435_761 % 2**32) for n, key in enumerate(keys)}
    reads = {key: keys[max(0, n - 4) : n] for n, key in enumerate(keys)}
    data = encode([Components(codes=[{"f": b"12345678"}], tasks=tasks)], reads)
    assert len(data) <= 35 * count
    found = decode(data)
    assert found.tasks == tasks
    assert found.reads == reads


@pytest.mark.parametrize("harm", ["cut", "changed", "older", "nothing"])
def test_what_is_damaged_is_refused(harm: str) -> None:
    data = bytearray(encode([Components(tasks={"x": (0, 1)}, codes=[{}])], {"x": ()}))
    if harm == "changed":
        data[-1] ^= 1
    elif harm == "older":
        data[2] = 0
    with pytest.raises(CorruptObjectError):
        decode({"cut": data[:-1], "nothing": b""}.get(harm, data))


def test_only_what_is_asked_for_is_written_and_the_first_graph_counts() -> None:
    first = Components(codes=[{"f": b"1"}], tasks={"x": (0, 1), "y": (0, 2)})
    second = Components(codes=[{"g": b"2"}], tasks={"x": (0, 9), "z": (0, 3)})
    found = decode(encode([first, second], {"x": (), "z": ("x", "elsewhere")}))
    assert found.tasks == {"x": (0, 1), "z": (1, 3)}
    assert found.reads == {"x": [], "z": ["x"]}
