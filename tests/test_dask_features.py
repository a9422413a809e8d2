"""The table of Dask's features says nothing that no test shows.

A row of ``docs/dask-features.md`` is one line of four cells::

    | feature | works | one line on how, or on what to do instead | `tests/path.py::test_name` |

The second cell is ``works``, ``works differently`` or ``refused``. The last one names at least one
test, each between backticks, several with ``, `` between them; ``[parameters]`` may follow. A row
stands below the title of its part, which is a row too: ``| **Part** | | | |``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
STATUSES = ("works", "works differently", "refused")
#: The parts of the table, in their order.
PARTS = [
    "Futures",
    "Small submissions",
    "Errors",
    "Cancel, release, restart",
    "Named runs: `KnotCluster(name=...)`",
    "Scatter",
    "Annotations",
    "Collections",
    "Plugins and files",
    "Inside a task",
    "What is seen",
    "Other processes and async",
    "Scaling and configuration",
]
HEAD = ["feature", "here", "how", "shown by"]


class Row(NamedTuple):
    """One line of the table."""

    part: str
    feature: str
    status: str
    line: str
    tests: list[str]


def cells(line: str) -> list[str]:
    """Take a line apart; a pipe between backslash and text is part of the text."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def read_rows(text: str) -> Iterator[Row]:
    """Read the table; raises AssertionError at a row that is none."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert cells(lines[0]) == HEAD
    assert re.fullmatch(r"[| :-]+", lines[1])
    part = ""
    for line in lines[2:]:
        found = cells(line)
        assert len(found) == len(HEAD), f"not four cells: {line}"
        feature, status, how, shown = found
        title = re.fullmatch(r"\*\*(.+)\*\*", feature)
        if title and not any(found[1:]):
            part = title[1]
            continue
        assert feature, f"no feature: {line}"
        assert status in STATUSES, f"{feature}: {status!r} is none of {STATUSES}"
        assert how, f"{feature}: nothing says how"
        tests = re.findall(r"`([^`]+)`", shown)
        assert shown == ", ".join(f"`{test}`" for test in tests), f"{feature}: {shown!r}"
        yield Row(part, feature, status, how, tests)


def table() -> str:
    return (ROOT / "docs/dask-features.md").read_text()


ROWS = list(read_rows(table()))


@cache
def named_in(file: Path) -> frozenset[str]:
    """Name the tests of a file as pytest does: those of classes by class and name."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names.update(
            f"{before}{one.name}"
            for one in inside
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        )
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test_"))


def exists(test: str) -> bool:
    """Tell whether there is a test of that name."""
    path, _, name = test.partition("::")
    file = ROOT / path
    return file.is_file() and name.partition("[")[0] in named_in(file)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_every_feature_has_a_test(row: Row) -> None:
    assert row.tests, f"{row.feature} ({row.status}) is shown by no test"
    assert [test for test in row.tests if not exists(test)] == []


def test_the_table_has_all_parts_in_order() -> None:
    assert re.findall(r"^\| \*\*(.+)\*\* \| \| \| \|$", table(), re.MULTILINE) == PARTS
    assert {row.part for row in ROWS} == set(PARTS)


def test_no_feature_is_named_twice() -> None:
    features = [row.feature for row in ROWS]
    assert sorted(features) == sorted(set(features))


@pytest.mark.parametrize(
    "row",
    [
        "| x | works | so | `tests/test_dask_features.py::test_x`",
        "| x | perhaps | so | `tests/a.py::test_x` |",
        "| x | works | | `tests/a.py::test_x` |",
        "| x | works | so | tests/a.py::test_x |",
        "| | works | so | `tests/a.py::test_x` |",
        "| x | works | so | `tests/a.py::test_x`; `tests/a.py::test_y` |",
    ],
)
def test_a_row_that_is_none_is_noticed(row: str) -> None:
    text = f"| {' | '.join(HEAD)} |\n| --- | --- | --- | --- |\n| **Part** | | | |\n{row}\n"
    with pytest.raises(AssertionError):
        list(read_rows(text))


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert exists("tests/test_dask_features.py::test_a_test_that_is_not_there_is_noticed")
    assert exists("tests/test_dask_features.py::test_a_row_that_is_none_is_noticed[a|b]")
    assert not exists("tests/test_dask_features.py::test_of_nothing")
    assert not exists("tests/test_dask_features.py::exists")
    assert not exists("tests/no_such_file.py::test_a_test_that_is_not_there_is_noticed")
