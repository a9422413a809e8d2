"""What a source mentions: modules that it may import at any time, and files beside it. Pure.

It is searched, not parsed: a mention too many costs a look at a folder, and one too few a job.
"""

from __future__ import annotations

import dis
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from dask_knot.run.scripts import SCRIPTS

#: A statement begins a line, or stands behind another one, ``else:`` and the like.
_BEGIN = r"^[ \t]*(?:[^#\n'\"]*[:;][ \t]*)?"
_IMPORT = re.compile(_BEGIN + r"import[ \t]+([^\n#;]+)", re.MULTILINE)
_FROM = re.compile(_BEGIN + r"from[ \t]+(\w[\w.]*)[ \t]+import\b", re.MULTILINE)
_CALL = re.compile(r"(?:import_module|__import__|run_module|files)\(\s*['\"](\w[\w.]*)['\"]")
_NAME = re.compile(r"\w[\w.]*")
#: With these, code finds what lies beside its file.
_LOOKS_BESIDE = re.compile(r"__file__|importlib[._]resources|pkgutil|\bresources\b")
_TEXT = re.compile(r"'([^'\n\\]{1,200})'|\"([^\"\n\\]{1,200})\"")


def decoded(source: bytes) -> str:
    """Read source code as Python does; what is no valid text, as well as it goes."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return source.decode("latin-1")


def modules(text: str) -> set[str]:
    """Name the top modules that a source may import; what is relative is in its own package."""
    text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    names = {match[1] for pattern in (_FROM, _CALL) for match in pattern.finditer(text)}
    for match in _IMPORT.finditer(text):
        parts = (_NAME.match(part.strip(" \t()")) for part in match[1].split(","))
        names |= {part[0] for part in parts if part}
    return {name.partition(".")[0] for name in names}


def files(text: str) -> set[str]:
    """Name what may be files beside a source: its texts, if it looks for any."""
    if not _LOOKS_BESIDE.search(text):
        return set()
    found = {(match[1] or match[2]).strip("/") for match in _TEXT.finditer(text)}
    return {one for one in found if one.strip("./* ") and ".." not in one.split("/")}


def modules_of_code(values: Iterable[Any]) -> set[str]:
    """Name the top modules that functions and classes of a script may import when they run."""
    codes = {function.__code__ for value in values for function in _functions(value)}
    return {name for code in codes for name in _imported(code)}


def _functions(value: Any) -> Iterator[FunctionType]:
    if getattr(value, "__module__", None) not in SCRIPTS:
        return
    if isinstance(value, type):
        for member in list(vars(value).values()):
            if not isinstance(member, type):
                yield from _functions(member)
        return
    for one in (value, getattr(value, "__func__", None), getattr(value, "__wrapped__", None)):
        if isinstance(one, FunctionType):
            yield one


@lru_cache(maxsize=4096)  # what was typed once is asked for each time that work is submitted
def _imported(code: CodeType) -> frozenset[str]:
    steps = dis.get_instructions(code)
    names = {str(one.argval).partition(".")[0] for one in steps if one.opname == "IMPORT_NAME"}
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return frozenset(names.union(*map(_imported, inner)) - {""})
