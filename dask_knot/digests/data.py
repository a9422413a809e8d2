"""Files of modules, and those that lie beside them, which functions name by where the module is.

``Path(__file__).parent / "table.csv"`` and ``files("stations") / "table.csv"`` are put together
when the function runs. Here each text of such a function is looked for beside its module, in the
folders above, and in packages that it names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from types import CodeType, FunctionType
from typing import Any

from dask_knot.digests.plain import digest
from dask_knot.digests.refusal import UndigestibleError

#: Folders above that of the module.
_ABOVE = 3
_READERS = ("importlib.resources", "importlib._common", "importlib_resources", "pkgutil")


def beside(function: FunctionType, used: Iterable[Any]) -> list[str]:
    """Give the files that a function reads beside its module.

    Parameters
    ----------
    function : FunctionType
        Of the user's own.
    used : iterable of Any
        What it takes from outside.

    Raises
    ------
    UndigestibleError
        If it reads such, and doesn't say which.
    """
    codes = [*_with_inner(function.__code__)]
    is_reader = any(str(getattr(one, "__module__", "")).startswith(_READERS) for one in used)
    if not is_reader and not any("__file__" in code.co_names for code in codes):
        return []
    texts = sorted({one for code in codes for one in code.co_consts if isinstance(one, str)})
    paths = (
        os.path.join(folder, text.lstrip("/"))
        for folder in _folders(function, texts)
        for text in texts
        if text.strip("./ \n")
    )
    found = sorted({path for path in paths if len(path) < 4096 and os.path.isfile(path)})
    if not found:
        raise UndigestibleError(
            "it reads files beside its module, but nothing in its code says which: name "
            "them in a global variable"
        )
    return found


def compiled(module: str) -> bytes:
    """Give the content of a compiled module, whose classes show nothing; of others nothing."""
    file = str(getattr(sys.modules.get(module), "__file__", ""))
    return content(module) if file.endswith((*EXTENSION_SUFFIXES,)) else b""


def content(module: str) -> bytes:
    """Give the digest of a module's file."""
    with open(str(sys.modules[module].__file__), "rb") as opened:
        return digest(opened.read())


def _folders(function: FunctionType, texts: Iterable[str]) -> Iterator[str]:
    file = function.__globals__.get("__file__")
    folder = os.path.dirname(os.path.abspath(file)) if isinstance(file, str) else ""
    for _ in range(_ABOVE):
        if folder:
            yield folder
        folder = os.path.dirname(folder)
    for text in texts:
        yield from map(str, getattr(sys.modules.get(text), "__path__", ()))


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
