"""Compares the user's own modules, as they are loaded here, with their files, which jobs import.

A module that was edited and not loaded again is two: a digest of what is here would stand for what
the other one computes. So what is used of it must be the same in both. Code and constants can be
compared with what the file says now; all other statements, with what it said when it was loaded.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FunctionType
from typing import Any

from dask_knot.digests.environment import Environment
from dask_knot.digests.moduletext import ModuleText, Stamp, read_text, written
from dask_knot.digests.refusal import UndigestibleError

logger = logging.getLogger(__name__)

#: Where a file of bytecode says how old its source was, and how large.
_OF_SOURCE = slice(8, 16)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """How a module was loaded, what its file said then, and whether that is sure."""

    spec: ModuleSpec
    text: ModuleText | None
    is_sure: bool = False


class ModuleTexts:
    """The sources of the user's own modules that are loaded here.

    Parameters
    ----------
    environment : Environment
        Knows what is installed.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._loaded: dict[str, _Loaded] = {}  # by name
        self._read: dict[str, ModuleText] = {}
        self._warned: dict[str, Stamp] = {}

    def check(self, variables: Mapping[str, Any]) -> ModuleText | None:
        """Look whether a module, known by its variables, has the statements of its file.

        Raises
        ------
        UndigestibleError
            If it hasn't.
        """
        spec = self._spec(variables)
        if spec is None or spec.origin is None:
            return None
        source = self._source(spec, spec.origin)
        known = self._loaded.get(spec.name)
        if known is None or known.spec is not spec:  # which another load replaces
            known = self._loaded[spec.name] = _first(spec, source)
        if known.text is None or known.text.rest != source.rest:
            raise self._edited(source)
        return source

    def variable(self, variables: Mapping[str, Any], name: str) -> Any:
        """Give a variable of a module, which must be that of its file.

        Raises
        ------
        UndigestibleError
            If it isn't.
        """
        value, source = variables[name], self.check(variables)
        constants = {} if source is None else source.constants
        if source is not None and name in constants and repr(value) != constants[name]:
            raise self._refused(
                source,
                f"{name} has another value here than in {source.path}, which jobs import: "
                f"reload the module (importlib.reload), or pass {name} as an argument",
            )
        return value

    def check_code(self, function: FunctionType) -> None:
        """Look whether a function is what the file of its module says.

        Raises
        ------
        UndigestibleError
            If it isn't.
        """
        source, code = self.check(function.__globals__), function.__code__
        if source is None or code.co_filename != source.path:  # such as what a dataclass makes
            return
        now, known = source.codes.get(code.co_name), self._loaded[function.__globals__["__name__"]]
        if known.is_sure and known.text is not None and known.text.codes.get(code.co_name) == now:
            return  # a decorator may have written it anew
        if written(code) not in (now or ()):
            raise self._edited(source)

    def _edited(self, source: ModuleText) -> UndigestibleError:
        return self._refused(
            source,
            f"{source.path} was edited since it was imported here: reload it "
            "(importlib.reload), because jobs run what is in the file",
        )

    def _refused(self, source: ModuleText, why: str) -> UndigestibleError:
        """Warn once of each edit: who reads no log of the cluster would wonder what ran."""
        if self._warned.get(source.path) != source.stamp:
            self._warned[source.path] = source.stamp
            logger.warning("%s. Until then its results are computed again each time", why)
        return UndigestibleError(why)

    def _spec(self, variables: Mapping[str, Any]) -> ModuleSpec | None:
        """Give how a module was loaded, if that was from a file, in Python's own way."""
        module, spec = sys.modules.get(variables.get("__name__", "")), variables.get("__spec__")
        if module is None or vars(module) is not variables or not isinstance(spec, ModuleSpec):
            return None  # of what travels by value, the file doesn't matter
        get_code = getattr(type(spec.loader), "get_code", None)
        is_plain = get_code is SourceFileLoader.get_code and spec.name == module.__name__
        is_own = self._environment.origin(spec.name) is None
        return spec if is_plain and is_own and spec.has_location else None

    def _source(self, spec: ModuleSpec, path: str) -> ModuleText:
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            source = self._read.get(path)
            if source is None or source.stamp != stamp:
                source = self._read[path] = read_text(spec.loader, path, stamp)
        except (OSError, SyntaxError, ValueError) as error:
            raise UndigestibleError(
                f"{path} was loaded here, but jobs can no longer import it: {error}"
            ) from error
        return source


def _first(spec: ModuleSpec, source: ModuleText) -> _Loaded:
    """Give what a file said when it was loaded: what it says now, if its bytecode is of that."""
    try:
        path = Path(spec.cached or "")
        head = path.read_bytes()[:16]
    except OSError:
        return _Loaded(spec, source)
    flags, mtime, size = head[4:8], source.stamp[0] // 10**9, source.stamp[2]
    now = (mtime & 0xFFFFFFFF).to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    is_kept = not sys.dont_write_bytecode and os.access(path.parent, os.W_OK) and not any(flags)
    is_same = head[_OF_SOURCE] == now
    return _Loaded(spec, source if is_same or not is_kept else None, is_kept and is_same)
