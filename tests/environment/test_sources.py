"""Sources in every encoding, and half broken ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.environment.sources import LARGEST, decoded, parse, read_source
from dask_knot.environment.syntax import imported

TEXT = "name = 'Zoë'\nimport numpy\n"


def names(text: str) -> list[str]:
    return sorted(name.dotted for tree in parse(text).trees for name in imported(tree))


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "latin-1"),
        ("# -*- coding: latin-1 -*-\n", "latin-1"),
        ("", "cp1252"),
        ("# coding: cp1252\n", "cp1252"),
        ("", "utf-16"),
        ("", "utf-16-le"),
        ("", "utf-16-be"),
        ("", "utf-32"),
        ("# coding: no-such-encoding\n", "latin-1"),
    ],
)
def test_a_source_in_any_encoding_is_read(head: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes((head + TEXT).encode(encoding))
    assert read_source(path) == head + TEXT
    assert names(read_source(path)) == ["numpy"]


def test_the_signs_of_windows_are_read() -> None:
    assert decoded(b"'\x80\x93'") == "'€“'"
    assert decoded(b"'\x81'") == "'\x81'"  # which Windows doesn't have


@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    parse(decoded(data))


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_ends_of_lines_are_those_of_any_system(end: str) -> None:
    assert decoded(TEXT.replace("\n", end).encode()) == TEXT


@pytest.mark.parametrize(
    ("text", "found", "says"),
    [
        ("import a\nprint 'Python 2'\nimport b", ["a", "b"], "line 2 is not valid Python"),
        ("exec 'x'\ntry:\n    import a\nexcept E, e:\n    pass", ["a"], "line 1"),
        ("x = (\nimport a", ["a"], "line 1"),
        ("from a import (  # two\n    b,\n    c,\n)\nfor", ["a.b", "a.c"], "line 5"),
        ("import a, \\\n    b\nfor", ["a", "b"], "line 3"),
        ("import this is not python\nimport good", ["good"], "line 1"),
        ("import a\nimport b\0\nimport d", ["a", "b", "d"], "null bytes"),
        ("x = 1" + "+1" * 40 + "\n" + "(" * 5000, [], "not valid Python"),
    ],
)
def test_of_what_is_no_python_the_imports_are_read_line_by_line(
    text: str, found: list[str], says: str
) -> None:
    assert says in parse(text).trouble
    assert names(text) == found


def test_a_script_as_large_as_data_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.py"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(OSError, match="larger than"):
        read_source(path)
    path.write_bytes(b"")
    notebook = tmp_path / "large.ipynb"
    notebook.write_bytes(b" " * (LARGEST + 1))  # its pictures
    assert len(read_source(notebook)) == LARGEST + 1


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    """To read it would wait for ever."""
    os.mkfifo(tmp_path / "a.py")
    with pytest.raises(OSError, match="it isn't a file"):
        read_source(tmp_path / "a.py")


def test_many_imports_that_are_not_closed_take_no_time() -> None:
    """Of each line, a beginning of all that follows was tried: for hours."""
    found = parse("import a (\n" * 5_000 + "from b import (\n    c,\n)\n")
    assert len(found.trees) == 1
