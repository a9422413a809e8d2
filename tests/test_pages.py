"""The pages on reliability, security and troubleshooting name tests and messages that are there."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from pathlib import Path

import pytest

from dask_knot import errors
from tests.test_aws_page import GAP, TEXTS
from tests.test_dask_features import exists

ROOT = Path(__file__).parent.parent
PROMISES = ("reliability", "security")
TROUBLE = (ROOT / "docs/troubleshooting.md").read_text()
#: Messages of others, which our package doesn't have.
OF_OTHERS = {"Port 8787 is already in use", "ZeroDivisionError"}


def docstrings() -> set[str]:
    """Return what stands in docstrings, which nobody is shown."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = (
        node
        for file in (ROOT / "dask_knot").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, kinds)
    )
    found = (ast.get_docstring(node) or "" for node in nodes)
    return {re.sub(r"\{\w+\}", GAP, " ".join(text.split())) for text in found}


SPOKEN = sorted(set(TEXTS) - docstrings())


def rows(text: str) -> list[list[str]]:
    """Read the rows of all tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {number for number, row in enumerate(cells) if set(row[0]) == {"-"}}
    return [row for number, row in enumerate(cells) if not {number, number + 1} & rules]


@pytest.mark.parametrize("page", PROMISES)
def test_every_test_that_is_named_is_there(page: str) -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / f"docs/{page}.md").read_text())
    assert len(named) > 10
    assert [test for test in named if not exists(test)] == []


def test_every_promise_names_a_test() -> None:
    promises = rows((ROOT / "docs/reliability.md").read_text())
    assert len(promises) > 40
    assert [promise for promise, shown in promises if "`tests/" not in shown] == []
    assert len({promise for promise, _ in promises}) == len(promises)


MESSAGES = [
    message
    for row in rows(TROUBLE)
    for message in re.findall(r"^`([^`]+)`", row[0])
    if not message.endswith("Error") and message not in OF_OTHERS
]


def test_there_are_messages_to_look_for() -> None:
    assert len(MESSAGES) > 30


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_ours(message: str) -> None:
    pieces = [piece.strip() for piece in message.split(GAP)]
    pattern = re.compile(".*".join(re.escape(piece) for piece in pieces if piece))
    assert any(pattern.search(text) for text in SPOKEN)


def test_every_error_of_ours_has_its_cause_and_fix() -> None:
    ours = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.KnotError)
    }
    named = set(re.findall(r"`(\w+Error)`", TROUBLE))
    assert ours - named == {"KnotError", "RunError", "PriceFileError"}
    assert {name for name in named - ours if not hasattr(builtins, name)} == set()
