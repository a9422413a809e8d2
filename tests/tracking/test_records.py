"""Nobody but records writes what is in them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from dask_knot.tracking import belongings, drafts, records, remainder, stages
from dask_knot.tracking.belongings import Belongings
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.remainder import Remainder
from dask_knot.tracking.stages import StageRecord

ROOM = Path(records.__file__).parent
PACKAGE = ROOM.parent
KINDS = (KeyRecord, ShardRecord, Belongings, Remainder, StageRecord, Draft)
FIELDS = {field.name for kind in KINDS for field in fields(kind)}
OWNERS = {Path(module.__file__) for module in (records, belongings, remainder, stages, drafts)}


#: Calls that change a list, a set or a dict.
CHANGES = {
    *("append", "appendleft", "extend", "insert", "remove", "pop", "popleft", "popitem", "clear"),
    *("add", "discard", "update", "setdefault", "sort", "reverse", "subtract"),
    *("difference_update", "intersection_update", "symmetric_difference_update"),
}


def changed(node: ast.AST) -> Iterator[ast.Attribute]:
    """Find the attributes that an expression sets, deletes, or changes the inside of."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield node
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        if isinstance(node.value, ast.Attribute):
            yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        inside = node.func.value
        if node.func.attr in CHANGES and isinstance(inside, ast.Attribute):
            yield inside


def written(tree: ast.AST, own: Collection[str] = ("self",)) -> Iterator[str]:
    """Name the fields that are written, other than those of objects with one of some names."""
    for node in ast.walk(tree):
        for attribute in changed(node):
            is_own = isinstance(attribute.value, ast.Name) and attribute.value.id in own
            if attribute.attr in FIELDS and not is_own:
                yield attribute.attr


def own_names(method: ast.FunctionDef, kind: str) -> set[str]:
    """Name what in a method is an object of its own class: itself, and parameters of that type."""
    taken = [arg for arg in method.args.args if arg.annotation is not None]
    return {"self", *(arg.arg for arg in taken if ast.unparse(arg.annotation or arg) == kind)}


def written_of_others(source: str) -> Iterator[str]:
    """Name the fields that methods write of objects of other classes than their own."""
    for kind in ast.walk(ast.parse(source)):
        if isinstance(kind, ast.ClassDef):
            for method in kind.body:
                if isinstance(method, ast.FunctionDef):
                    yield from written(method, own_names(method, kind.name))


@pytest.mark.parametrize(
    "file",
    sorted(file for file in ROOM.rglob("*.py") if file not in OWNERS),
    ids=lambda file: file.name,
)
def test_no_other_file_writes_fields_of_records(file: Path) -> None:
    assert list(written(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize("file", sorted(OWNERS), ids=lambda file: file.name)
def test_a_record_writes_its_own_fields_only(file: Path) -> None:
    assert list(written_of_others(file.read_text())) == []


def test_a_record_begins_in_one_state() -> None:
    """All others follow from events, by the tables of moves."""
    states = [field for kind in KINDS for field in fields(kind) if field.name == "state"]
    assert [field.init for field in states] == [False, False]


@pytest.mark.parametrize(
    "line",
    [
        "record.attempts += 1",
        "a.b.state = c",
        "x, record.shard = 1, 2",
        "del record.output",
        "stage.shards.append(made)",
        "shard.own.names.discard(name)",
        "shard.left[prefix] -= 1",
        "del draft.tasks[key]",
    ],
)
def test_the_test_would_notice(line: str) -> None:
    assert len(list(written(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line", ["record.readers += 1", "record.shard.alive -= 1", "record.outputs.append(1)"]
)
def test_writing_to_another_class_would_be_noticed(line: str) -> None:
    text = f"class ShardRecord:\n    def f(self, record: KeyRecord) -> None:\n        {line}"
    assert len(list(written_of_others(text))) == 1
    assert list(written_of_others(text.replace("record: KeyRecord", "record: ShardRecord"))) == (
        ["alive"] if "shard." in line else []
    )


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


def walks_through_tracker(tree: ast.AST) -> list[str]:
    """Name what is reached over the tracker of something else."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.lstrip("_") == "tracker"
    ]


@pytest.mark.parametrize(
    "file",
    sorted(
        file
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] not in ("session", "tracking")
    ),
    ids=lambda file: str(file.relative_to(PACKAGE)),
)
def test_only_a_session_has_a_tracker(file: Path) -> None:
    """Others ask the session."""
    assert walks_through_tracker(ast.parse(file.read_text())) == []


@pytest.mark.parametrize("line", ["session.tracker.foresee(graph)", "tracker = self.a._tracker"])
def test_a_walk_through_the_tracker_would_be_noticed(line: str) -> None:
    assert len(walks_through_tracker(ast.parse(line))) == 1
