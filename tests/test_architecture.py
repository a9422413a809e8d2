"""What the page about the architecture names is there: files, classes, functions, settings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import distributed
import pytest
from distributed.diagnostics.task_stream import TaskStreamPlugin

import dask_knot
from tests.test_layers import FILES, ROOMS, defined

ROOT = Path(__file__).parent.parent
PACKAGE = Path(dask_knot.__file__).parent
PAGE = (ROOT / "docs/architecture.md").read_text()
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", FENCE.sub("", PAGE))
PATHS = sorted({code for code in CODE if re.fullmatch(r"[\w./]*(/|\.(py|md|yaml))", code)})
CLASSES = sorted({code for code in CODE if re.fullmatch(r"[A-Z]\w*[a-z]\w*(\.\w+)?", code)})
NAMES = sorted({code for code in CODE if re.fullmatch(r"[a-z]+(_[a-z]+)*", code)})

#: Those of Dask and of AWS.
FOREIGN = {name: getattr(distributed, name) for name in ("Scheduler", "Worker", "Client", "Status")}
FOREIGN["TaskStreamPlugin"] = TaskStreamPlugin
OF_AWS = {"CancelJob", "If-None-Match"}


def section(title: str) -> str:
    """Return what stands under one heading."""
    [body] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(body)


def test_the_page_names_much() -> None:
    assert len(PATHS) > 50
    assert len(CLASSES) > 25
    assert len(NAMES) > 15


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path: str) -> None:
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


MEMBERS = {
    node.name: defined(node)
    for file in FILES
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.ClassDef)
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_exists(name: str) -> None:
    kind, _, member = name.partition(".")
    if kind in FOREIGN:
        assert not member or hasattr(FOREIGN[kind], member)
    elif kind not in OF_AWS:
        assert kind in MEMBERS
        assert not member or member in MEMBERS[kind]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_that_the_package_uses(name: str) -> None:
    word = re.compile(rf"\b{name}\b")
    assert any(word.search(file.read_text()) for file in FILES)


def test_a_class_stands_in_the_file_that_is_named_beside_it() -> None:
    pairs = re.findall(r"`(\w+)(?:\.\w+)?`\s\(`([\w/]+\.py)`", PAGE)
    assert len(pairs) > 10
    for name, path in pairs:
        assert name in defined(ast.parse((PACKAGE / path).read_text())), path


def test_every_room_has_its_line() -> None:
    rows = re.findall(r"^\| `([\w.]+?)(?:/|\.py)` \|", section("Three processes.*?"), re.MULTILINE)
    small = {"plural", "collector", "extras", "zarr", "__init__"}
    assert set(rows) == set(ROOMS) - small


def test_there_are_thirty_words_at_most() -> None:
    rows = re.findall(r"^\| ([a-z][^|]*) \| ", section("Words"), re.MULTILINE)
    assert len([word for row in rows[1:] for word in row.split(", ")]) <= 30


def test_there_are_ten_places_to_begin() -> None:
    assert section("Where to begin").count("\n| ") >= 10 + 2
