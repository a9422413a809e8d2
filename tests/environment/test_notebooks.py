"""The cells of notebooks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dask_knot.environment.notebooks import cells_of


def code(source: object, kind: str = "code") -> dict[str, object]:
    return {"cell_type": kind, "source": source}


def cells(notebook: Any) -> list[tuple[int, str]]:
    return list(cells_of(json.dumps(notebook)))


def test_a_source_is_a_text_or_a_list_of_lines() -> None:
    notebook = {"cells": [code("import a"), code(["import b\n", "import c"])]}
    assert cells(notebook) == [(1, "import a"), (2, "import b\nimport c")]


def test_text_is_no_code() -> None:
    notebook = {"cells": [code("import a", "markdown"), code("import b"), code("c", "raw")]}
    assert cells(notebook) == [(2, "import b")]


def test_sheets_of_the_third_version_are_read() -> None:
    cell = {"cell_type": "code", "input": ["import a"], "language": "python"}
    assert cells({"nbformat": 3, "worksheets": [{"cells": [cell]}]}) == [(1, "import a")]


@pytest.mark.parametrize(
    "notebook",
    [{}, {"cells": []}, {"cells": [code("")]}, {"cells": None}, {"cells": [code(None), 3, {}]}],
)
def test_an_empty_notebook_has_no_cells(notebook: object) -> None:
    assert cells(notebook) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"language_info": {"name": "python"}},
        {"kernelspec": {"language": "python", "name": "xpython"}},
        {"kernelspec": {"name": "my-environment"}},
        {"language_info": None, "kernelspec": []},
    ],
)
def test_a_kernel_of_python_is_read(metadata: object) -> None:
    assert cells({"metadata": metadata, "cells": [code("import a")]}) == [(1, "import a")]


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"language_info": {"name": "R"}}, "R"),
        ({"kernelspec": {"language": "julia", "name": "julia-1.10"}}, "julia"),
    ],
)
def test_another_kernel_is_said(metadata: object, language: str) -> None:
    with pytest.raises(ValueError, match=f"its language is {language}, not Python"):
        cells({"metadata": metadata, "cells": [code("library(a)")]})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_what_is_no_notebook_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="it isn't a notebook"):
        list(cells_of(text))


def test_one_that_is_too_deep_is_none() -> None:
    with pytest.raises(ValueError, match="it isn't a notebook"):
        list(cells_of("[" * 100_000 + "]" * 100_000))
