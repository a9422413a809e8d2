"""How much tasks have to do: bytes of arguments and files, numbers, over all that they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask._task_spec import DataNode, List, Task, TaskRef

from dask_knot.estimates.sampling import Extent
from dask_knot.graphs.extents import extents_of
from dask_knot.task.copies import OwnCopy
from dask_knot.tracking.events import Graph


def extent(*arguments: Any, **keywords: Any) -> Extent:
    """Give that of a task with such arguments."""
    return extents_of(Graph({"t": Task("t", print, *arguments, **keywords)}, ["t"]))["t"]


class Unspeakable:
    """Raises when somebody asks how large it is."""

    def __sizeof__(self) -> int:
        raise RuntimeError("no")

    @property
    def nbytes(self) -> int:
        raise RuntimeError("nor this")


@pytest.mark.parametrize(
    ("arguments", "number"),
    [((), 0.0), ((5,), 5.0), ((2.5, 7), 2.5), (("x", 7), 7.0), ((True, 3), 3.0), ((1e999,), 0.0)],
)
def test_the_first_number_counts(arguments: tuple[Any, ...], number: float) -> None:
    assert extent(*arguments).number == number


def test_bytes_of_arguments_count() -> None:
    small, large = extent(np.zeros(10)), extent(np.zeros(10_000))
    assert large.nbytes - small.nbytes == pytest.approx(8 * 9_990, rel=0.01)
    assert extent(b"x" * 10_000).nbytes == 10_000
    assert extent(data=List(np.zeros(10_000))).nbytes >= 80_000
    assert extent(Unspeakable()).nbytes >= 0


def test_a_file_counts_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 12_345)
    assert extent(str(path)).nbytes == extent(path).nbytes == 12_345
    assert extent(str(tmp_path / "none")).nbytes < 1000
    assert extent("x" * 100_000).nbytes == 100_000
    assert extent("with\0zero").nbytes == 9


def test_what_is_read_counts_and_constants_have_no_extent_of_their_own() -> None:
    tasks = {
        "sum": Task("sum", print, TaskRef("a"), TaskRef("b"), TaskRef("there")),
        "a": Task("a", print, TaskRef("c"), 3),
        "b": Task("b", print, TaskRef("d"), 4),
        "c": DataNode("c", np.zeros(1000)),
        "d": OwnCopy("d", [b"x" * 500, b"y" * 1500]),
    }
    found = extents_of(Graph(tasks, ["sum"], {"c", "d"}, external=["there"]))
    assert sorted(found) == ["a", "b", "sum"]
    assert [*found][-1] == "sum"  # inputs before readers
    assert found["b"] == Extent(2000, 4)
    assert found["sum"].number == 7
    assert found["sum"].nbytes == found["a"].nbytes + 2000


def test_long_chains_need_no_stack() -> None:
    tasks: dict[Any, Any] = {("t", 0): Task(("t", 0), print, 1)}
    for n in range(1, 5000):
        tasks["t", n] = Task(("t", n), print, TaskRef(("t", n - 1)), 1)
    reversed_tasks = dict(reversed(tasks.items()))
    assert extents_of(Graph(reversed_tasks, [("t", 4999)]))["t", 4999].number == 5000
