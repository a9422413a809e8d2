"""Compares the user's own modules, as they are loaded here, with their files, which jobs import.

A module that was edited and not loaded again is two: a digest of what is here would stand for what
the other one computes. So what is used of it must be the same in both. Code and constants can be
compared with what the file says now; all other statements, with what it said when it was loaded.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from dask_knot.digests import bytecode
from dask_knot.digests.environment import Environment
from dask_knot.digests.refusal import UndigestibleError

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Where a file of bytecode says how old its source was, and how large.
_OF_SOURCE = slice(8, 16)


@dataclass(frozen=True, slots=True)
class _ModuleText:
    """A source as it is now: its code by name, its constants, and all other statements."""

    path: str
    stamp: _Stamp
    codes: Mapping[str, frozenset[bytes]]
    constants: Mapping[str, str]
    rest: str


class ModuleTexts:
    """The sources of the user's own modules that are loaded here.

    Parameters
    ----------
    environment : Environment
        Knows what is installed.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        # By name: how a module was loaded, and what else its file said then, if that is known.
        self._loaded: dict[str, tuple[ModuleSpec, str | None]] = {}
        self._read: dict[str, _ModuleText] = {}
        self._warned: dict[str, _Stamp] = {}

    def check(self, variables: Mapping[str, Any]) -> _ModuleText | None:
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
        if known is None or known[0] is not spec:
            known = self._loaded[spec.name] = spec, _first(spec, source)
        if known[1] != source.rest:
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
                f"{name} is another one here than in {source.path}, which jobs import: reload that "
                f"(importlib.reload), or pass {name} as an argument",
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
        if _written(code) not in source.codes.get(code.co_name, ()):
            raise self._edited(source)

    def _edited(self, source: _ModuleText) -> UndigestibleError:
        return self._refused(
            source,
            f"{source.path} was edited since it was imported here: reload it (importlib.reload), "
            "for jobs run what is in the file",
        )

    def _refused(self, source: _ModuleText, why: str) -> UndigestibleError:
        """Warn once of each edit: who reads no log of the cluster would wonder what ran."""
        if self._warned.get(source.path) != source.stamp:
            self._warned[source.path] = source.stamp
            logger.warning("%s. Until then its results are made anew each time", why)
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

    def _source(self, spec: ModuleSpec, path: str) -> _ModuleText:
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            source = self._read.get(path)
            if source is None or source.stamp != stamp:
                source = self._read[path] = _read(spec, path, stamp)
        except (OSError, SyntaxError, ValueError) as error:
            raise UndigestibleError(
                f"{path} was loaded here, and jobs can't import it any more: {error}"
            ) from error
        return source


def _first(spec: ModuleSpec, source: _ModuleText) -> str | None:
    """Give what a file said when it was loaded: what it says now, unless its bytecode is older."""
    try:
        path = Path(spec.cached or "")
        head = path.read_bytes()[:16]
    except OSError:
        return source.rest
    flags, mtime, size = head[4:8], source.stamp[0] // 10**9, source.stamp[2]
    now = (mtime & 0xFFFFFFFF).to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    is_kept = not sys.dont_write_bytecode and os.access(path.parent, os.W_OK) and not any(flags)
    return None if is_kept and head[_OF_SOURCE] != now else source.rest


def _read(spec: ModuleSpec, path: str, stamp: _Stamp) -> _ModuleText:
    data = Path(path).read_bytes()
    assert isinstance(spec.loader, SourceFileLoader)
    codes: dict[str, set[bytes]] = {}
    for code in _inner(spec.loader.source_to_code(data, path)):
        codes.setdefault(code.co_name, set()).add(_written(code))
    tree = ast.parse(decode_source(data))
    constants = _constants(tree)
    rest = _Rest(constants).visit(tree)
    frozen = {name: frozenset(found) for name, found in codes.items()}
    return _ModuleText(path, stamp, frozen, constants, ast.dump(rest))


def _inner(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _inner(one)


@lru_cache(maxsize=10_000)  # functions are asked for with each graph
def _written(code: CodeType) -> bytes:
    """Write code without its place."""
    read = bytecode.read(code)
    return read.label + b"".join(map(_constant, read.constants))


def _constant(value: Any) -> bytes:
    if isinstance(value, CodeType):
        return _written(value)
    if isinstance(value, frozenset):  # in any order
        return b"".join(sorted(map(_constant, value)))
    return repr(value).encode(errors="surrogatepass") + b";"


def _constants(tree: ast.Module) -> dict[str, str]:
    """Give the variables that a module sets once, to what is written there and can't change."""
    bound = [node.id for node in ast.walk(tree) if _is_stored(node)]  # type: ignore[attr-defined]
    shared = {
        name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
    }
    found = {}
    for node in tree.body:
        value: Any = getattr(node, "value", None)
        for one in _targets(node) if _is_fixed(value) else ():
            if isinstance(one, ast.Name) and bound.count(one.id) == 1 and one.id not in shared:
                found[one.id] = repr(ast.literal_eval(value))
    return found


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _is_fixed(node: Any) -> bool:
    kinds = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.USub, ast.Load)
    if node is None or not all(isinstance(part, kinds) for part in ast.walk(node)):
        return False
    try:
        ast.literal_eval(node)
    except ValueError:  # such as -"text"
        return False
    return True


class _Rest(ast.NodeTransformer):
    """Leaves of a source what isn't compared by itself, without what changes nothing."""

    def __init__(self, constants: Mapping[str, str]) -> None:
        self._constants = constants

    def visit_Module(self, node: ast.Module) -> Any:
        """Leave out constants and plain functions, which are compared by themselves."""
        node.body = [one for one in node.body if not self._is_compared(one)]
        return self._without_texts(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Leave out the docstring."""
        return self._without_texts(node)

    def _visit_function(self, node: Any) -> Any:
        """Keep what is done where a function is made: its decorators and defaults."""
        node.body, node.returns = [], None
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Leave out annotations."""
        node.annotation = None
        return node

    def _without_texts(self, node: Any) -> Any:
        node.body = [one for one in node.body if not _is_text(one)]
        return self.generic_visit(node)

    def _is_compared(self, node: ast.stmt) -> bool:
        if isinstance(node, _DEFINITIONS):
            has_defaults = node.args.defaults or any(node.args.kw_defaults)
            return not node.decorator_list and not has_defaults
        names = [getattr(one, "id", "") for one in _targets(node)]
        return bool(names) and all(name in self._constants for name in names)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _targets(node: ast.stmt) -> Sequence[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []
