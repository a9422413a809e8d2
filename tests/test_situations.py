"""The tests that docs/situations.md names are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/situations.md").read_text()
#: Situation, what happens, test; a bar that belongs to a cell is written `\\|`.
ROWS = [
    tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| situation |", "| --- |"))
]
TESTS = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[-1])})


def names(body: list[ast.stmt], above: str = "") -> Iterator[str]:
    """Give the tests of a file, those of its classes by both names."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from names(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield above + node.name


def test_a_row_has_three_cells_and_no_situation_stands_twice() -> None:
    assert len(ROWS) > 50
    assert [row for row in ROWS if len(row) != 3] == []
    situations = [row[0] for row in ROWS]
    assert len(set(situations)) == len(situations)


def test_no_cell_is_left_empty() -> None:
    assert [row[0] for row in ROWS if {"-", ""} & set(row)] == []


def test_every_row_names_a_test() -> None:
    assert [row[0] for row in ROWS if not re.search(r"`tests/[\w/]+\.py::\w+", row[-1])] == []


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_named_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{file} is no file"
    found = set(names(ast.parse((ROOT / file).read_text(encoding="utf-8")).body))
    assert re.sub(r"\[.*", "", name) in found, f"{file} has no {name}"
