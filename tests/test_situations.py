"""Every row of docs/situations.md has tests that are there: tests/situations.yaml lists them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/situations.md").read_text()
#: The tests of each situation, by the section of the page.
LISTED: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (ROOT / "tests/situations.yaml").read_text()
)
TESTS = sorted({test for rows in LISTED.values() for tests in rows.values() for test in tests})


def read_rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give the rows of all tables by section; a bar that belongs to a cell is written `\\|`."""
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        if line.startswith("|") and not line.startswith(("| situation |", "| --- |")):
            yield section, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


ROWS = list(read_rows(PAGE))


def names(body: list[ast.stmt], above: str = "") -> Iterator[str]:
    """Give the tests of a file, those of its classes by both names."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from names(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield above + node.name


def test_a_row_has_two_full_cells_and_no_situation_stands_twice() -> None:
    assert len(ROWS) > 200
    assert [cells for _, cells in ROWS if len(cells) != 2 or {"-", ""} & set(cells)] == []
    situations = [cells[0] for _, cells in ROWS]
    assert len(set(situations)) == len(situations)


def test_the_page_and_the_list_have_the_same_rows_in_the_same_order() -> None:
    listed = [(section, situation) for section, rows in LISTED.items() for situation in rows]
    assert [(section, cells[0]) for section, cells in ROWS] == listed


def test_the_page_begins_with_a_link_to_each_section() -> None:
    linked = re.findall(r"^- \[([^\]]+)\]\(#", PAGE, re.MULTILINE)
    assert linked == list(LISTED)


def test_every_row_has_a_test() -> None:
    assert [row for rows in LISTED.values() for row, tests in rows.items() if not tests] == []


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_listed_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{file} is no file"
    found = set(names(ast.parse((ROOT / file).read_text(encoding="utf-8")).body))
    assert re.sub(r"\[.*", "", name) in found, f"{file} has no {name}"
