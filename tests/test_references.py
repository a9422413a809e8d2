"""Whatever the text of the package and its pages names of the package is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dask_knot

PACKAGE = Path(dask_knot.__file__).parent
PROJECT = PACKAGE.parent
TEXTS = [*PACKAGE.rglob("*.py"), *(PROJECT / "docs").glob("*.md"), PROJECT / "README.md"]
#: What every module has, and what the package itself passes on when it is asked for.
PROMISED = {"__file__", *dask_knot.__all__}
DOTTED = re.compile(r"\bdask_knot(?:\.\w+)+")


def names_at_top(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Name what a module, or a class, has; with what each has itself."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name, node.body
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, []
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from ((alias.asname or alias.name, []) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((one.id, []) for one in targets if isinstance(one, ast.Name))


def is_there(name: str) -> bool:
    """Find a file, and then what is left of the name in it."""
    path, left = PACKAGE, name.split(".")[1:]
    while left and (path / left[0]).is_dir():
        path /= left.pop(0)
    if left and (path / f"{left[0]}.py").exists():
        path /= f"{left.pop(0)}.py"
    elif left and (path / ".".join(left)).exists():  # a file of data
        return True
    else:
        path /= "__init__.py"
    body = ast.parse(path.read_text()).body
    if path == PACKAGE / "__init__.py" and left[:1] and left[0] in PROMISED:
        return True
    for part in left:
        known = dict(names_at_top(body))
        if part not in known:
            return False
        body = known[part]
    return True


def test_dotted_names_lead_somewhere() -> None:
    found = [
        (name, str(text.relative_to(PROJECT)))
        for text in TEXTS
        for name in DOTTED.findall(text.read_text())
    ]
    assert len(found) > 300
    assert [(name, text) for name, text in found if not is_there(name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dask_knot.KnotCluster", True),
        ("dask_knot.errors.JobError", True),
        ("dask_knot.tracking.records.KeyRecord.move", True),
        ("dask_knot.planning", True),
        ("dask_knot.cluster.forecast", False),
        ("dask_knot.errors.SomeError", False),
        ("dask_knot.tracking.records.KeyRecord.fly", False),
    ],
)
def test_the_test_would_notice(name: str, expected: bool) -> None:
    assert is_there(name) is expected
