"""The cells of notebooks, of any version of the format: pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: What kernels of Python call their language.
PYTHON = ("python", "python3", "ipython", "xonsh", "sage", "")


def cells_of(text: str) -> Iterator[tuple[int, str]]:
    """Give the cells of code of a notebook, each with its number, as they stand there.

    Raises
    ------
    ValueError
        If it isn't a notebook, or none of Python; the message says so.
    """
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it isn't a notebook ({error})") from None
    if not isinstance(notebook, dict):
        raise ValueError("it isn't a notebook")
    language = _language(notebook)
    if language.lower() not in PYTHON:
        raise ValueError(f"its language is {language}, not Python")
    for number, cell in enumerate(_all_cells(notebook), 1):
        source = _text(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") == "code" and source.strip():
            yield number, source


def _all_cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    # Before version 4 they stood in sheets.
    sheets = [notebook, *_dicts(notebook.get("worksheets"))]
    for sheet in sheets:
        yield from _dicts(sheet.get("cells"))


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def _text(source: object) -> str:
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    if isinstance(metadata, dict):
        for name, key in (("language_info", "name"), ("kernelspec", "language")):
            said = metadata.get(name)
            if isinstance(said, dict) and isinstance(said.get(key), str):
                return str(said[key])
    return ""
