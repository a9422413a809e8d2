"""The page about Dask's features says nothing that no test shows.

A row of ``docs/dask-features.md`` is one line of three cells, below the heading of its part::

    | feature | works | what happens, or what to do instead |

The second cell is ``works``, ``**works differently**`` or ``**refused**``. The tests of a row are
in ``tests/dask_features.yaml``, by its part and the name of its feature.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/dask-features.md").read_text()
LISTED: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (ROOT / "tests/dask_features.yaml").read_text()
)
STATUSES = ("works", "**works differently**", "**refused**")
HEAD = "| feature | here | what happens |"


class Row(NamedTuple):
    """One line of a table."""

    part: str
    feature: str
    status: str
    line: str


def read_rows(text: str) -> Iterator[Row]:
    """Read the tables of features; raises AssertionError at a row that is none."""
    part, inside = "", False
    for line in text.splitlines():
        if line.startswith("## "):
            part = line[3:]
        inside = line == HEAD or (inside and line.startswith("|"))
        if not inside or line == HEAD or re.fullmatch(r"[| -]+", line):
            continue
        found = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        assert len(found) == 3, f"not three cells: {line}"
        feature, status, how = found
        assert feature, f"no feature: {line}"
        assert status in STATUSES, f"{feature}: {status!r} is none of {STATUSES}"
        assert how, f"{feature}: nothing says what happens"
        yield Row(part, feature, status, how)


ROWS = list(read_rows(PAGE))


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


def test_the_page_and_the_list_have_the_same_features_in_the_same_order() -> None:
    listed = [(part, feature) for part, features in LISTED.items() for feature in features]
    assert [(row.part, row.feature) for row in ROWS] == listed
    assert len(ROWS) > 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_every_feature_has_tests_that_are_there(row: Row) -> None:
    tests = LISTED[row.part][row.feature]
    assert tests, f"{row.feature} ({row.status}) is shown by no test"
    assert [test for test in tests if not exists(test)] == []


def test_no_feature_is_named_twice() -> None:
    features = [row.feature for row in ROWS]
    assert sorted(features) == sorted(set(features))


def test_what_is_refused_is_in_the_summary_above() -> None:
    summary = PAGE.partition("## What doesn't work")[2].partition("\n## ")[0]
    words = set(re.findall(r"\w+", summary.lower()))
    refused = [row.feature for row in ROWS if row.status == "**refused**"]
    assert len(refused) > 10
    names = {feature: (re.findall("`([^`]+)`", feature) or [feature])[0] for feature in refused}
    assert [
        feature
        for feature, name in names.items()
        if not words >= set(re.findall(r"\w+", name.lower()))
    ] == []


@pytest.mark.parametrize(
    "row",
    [
        "| x | works |",
        "| x | perhaps | so |",
        "| x | refused | so |",
        "| x | works | |",
        "| | works | so |",
        "| x | works | so | `tests/a.py::test_x` |",
    ],
)
def test_a_row_that_is_none_is_noticed(row: str) -> None:
    with pytest.raises(AssertionError):
        list(read_rows(f"## Part\n\n{HEAD}\n| --- | --- | --- |\n{row}\n"))


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert exists("tests/test_dask_features.py::test_a_test_that_is_not_there_is_noticed")
    assert exists("tests/test_dask_features.py::test_a_row_that_is_none_is_noticed[a|b]")
    assert not exists("tests/test_dask_features.py::test_of_nothing")
    assert not exists("tests/test_dask_features.py::exists")
    assert not exists("tests/no_such_file.py::test_a_test_that_is_not_there_is_noticed")
