"""Python as people have it in files: in any encoding, with IPython's own lines, half broken.

A source is read as far as it can be: what isn't Python is left out, line by line, and is told.
"""

from __future__ import annotations

import ast
import codecs
import io
import itertools
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_knot.environment.magics import without_magics

#: Marks at the beginning of a file; the longer ones first, whose beginning is a shorter one.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: A script of more bytes is data: to parse it would take gigabytes. A notebook has pictures.
LARGEST = 16 * 2**20
LARGEST_NOTEBOOK = 2**30
IMPORT = re.compile(r"^\s*(?:>>>\s*)?((?:import\s|from\s+[\w.]+\s+import\b).*)$")
#: Lines of one import, at most.
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Parsed:
    """A source, as far as it is Python.

    Attributes
    ----------
    trees : tuple of ast.AST
        What could be parsed.
    trouble : str
        Why some of it could not be; empty if all was read.
    runs : tuple of str
        Files that IPython runs at its ``%run`` lines.
    """

    trees: tuple[ast.AST, ...] = ()
    trouble: str = ""
    runs: tuple[str, ...] = ()


def read_source(path: Path) -> str:
    """Read the text of a script.

    Raises
    ------
    OSError
        If it can't be read, is no file (a pipe has no end), or is too large for a script.
    """
    if not path.is_file() and path.exists():
        raise OSError(0, "it isn't a file")
    most = LARGEST_NOTEBOOK if path.suffix == ".ipynb" else LARGEST
    if path.stat().st_size > most:
        raise OSError(0, f"it is larger than {most >> 20} MiB")
    return decoded(path.read_bytes())


def decoded(data: bytes) -> str:
    """Turn bytes into text: by their mark, their coding line, as UTF-8, or as Windows has it.

    >>> decoded(b"# -*- coding: latin-1 -*-\\nx = '\\xe9'")[-3:]
    "'é'"
    """
    for encoding in _encodings(data):
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except (UnicodeError, LookupError):
            continue
    return data.decode("latin-1")  # never fails


def _encodings(data: bytes) -> Iterator[str]:
    yield from (encoding for mark, encoding in MARKS.items() if data.startswith(mark))
    if data[1:2] == b"\0" or data[:1] == b"\0":  # UTF-16 without a mark
        yield "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        yield tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:  # an encoding that nobody knows, or none at all
        yield "utf-8"
    yield "cp1252"


def parse(text: str) -> Parsed:
    """Parse a text as it is, else without IPython's lines, else import by import."""
    tree, trouble = _tree(text)
    if tree is not None:
        return Parsed((tree,))
    python, runs = without_magics(text)
    tree, trouble = _tree(python)
    if tree is not None:
        return Parsed((tree,), runs=runs)
    return Parsed(tuple(_salvaged(python.splitlines())), trouble, runs)


def _tree(text: str) -> tuple[ast.AST | None, str]:
    try:
        with warnings.catch_warnings():  # of the user's own escapes and comparisons
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except SyntaxError as error:
        where = f"line {error.lineno}" if error.lineno else "it"
        return None, f"{where} is not valid Python ({error.msg})"
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; far too deep
        return None, f"it is not valid Python ({error or type(error).__name__})"


def _salvaged(lines: Sequence[str]) -> Iterator[ast.AST]:
    """Give the imports among lines that aren't all Python."""
    for number, line in enumerate(lines):
        if found := IMPORT.match(line.replace("\0", "")):
            is_open = "(" in line.partition("#")[0] or line.rstrip().endswith("\\")
            rest = lines[number + 1 : number + LONGEST] if is_open else ()
            # No import stands within another one.
            inside = itertools.takewhile(lambda one: not IMPORT.match(one), rest)
            yield from _first_tree([found[1], *inside])


def _first_tree(lines: Sequence[str]) -> Iterator[ast.AST]:
    """Give the shortest beginning of some lines that can be parsed."""
    for number in range(1, len(lines) + 1):
        tree, _ = _tree(textwrap.dedent("\n".join(lines[:number])))
        if tree is not None:
            yield tree
            return
