"""Nobody but records writes what is in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from dask_knot.tracking import drafts, records
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.records import KeyRecord, ShardRecord, StageRecord

ROOM = Path(records.__file__).parent
PACKAGE = ROOM.parent
KINDS = (KeyRecord, ShardRecord, StageRecord, Draft)
FIELDS = {field.name for kind in KINDS for field in fields(kind)}
OWNERS = {Path(records.__file__), Path(drafts.__file__)}


def written(source: str) -> Iterator[str]:
    """Name the fields that are assigned to, other than by an object to itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if node.attr in FIELDS and not is_own:
                yield node.attr


@pytest.mark.parametrize(
    "file",
    sorted(file for file in ROOM.rglob("*.py") if file not in OWNERS),
    ids=lambda file: file.name,
)
def test_no_other_file_writes_fields_of_records(file: Path) -> None:
    assert list(written(file.read_text())) == []


def test_drafts_write_their_own_fields_only() -> None:
    assert list(written(Path(drafts.__file__).read_text())) == []


@pytest.mark.parametrize(
    "line",
    ["record.attempts += 1", "a.b.state = c", "x, record.shard = 1, 2", "del record.output"],
)
def test_the_test_would_notice(line: str) -> None:
    assert len(list(written(line))) == 1


@pytest.mark.parametrize(
    "file",
    sorted(file for file in PACKAGE.rglob("*.py") if ROOM not in file.parents),
    ids=lambda file: str(file.relative_to(PACKAGE)),
)
def test_nobody_outside_knows_records(file: Path) -> None:
    """Who wants to know something asks the tracker."""
    closed = ("dask_knot.tracking.records", "dask_knot.tracking.state", "dask_knot.tracking.drafts")
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module not in closed
        if isinstance(node, ast.Attribute) and node.attr in ("state", "_state"):
            walked = ast.unparse(node.value)
            assert not walked.endswith("tracker"), walked
