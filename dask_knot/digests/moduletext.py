"""The text of a module, taken apart: its code, its constants, and all other statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from importlib.util import decode_source
from pathlib import Path
from types import CodeType
from typing import Any

from dask_knot.digests import bytecode

#: Times of the last changes of a file, and its size.
Stamp = tuple[int, int, int]
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (*_DEFINITIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A source as it is now: its code by name, its constants, and all other statements."""

    path: str
    stamp: Stamp
    codes: Mapping[str, frozenset[bytes]]
    constants: Mapping[str, str]
    rest: str


def read_text(loader: Any, path: str, stamp: Stamp) -> ModuleText:
    """Read the file of a module, as its loader does.

    Raises
    ------
    OSError, SyntaxError, ValueError
        If that can't be done.
    """
    data = Path(path).read_bytes()
    assert isinstance(loader, SourceFileLoader)
    codes: dict[str, set[bytes]] = {}
    for code in _inner(loader.source_to_code(data, path)):
        codes.setdefault(code.co_name, set()).add(written(code))
    tree = ast.parse(decode_source(data))
    constants = _constants(tree)
    rest = _Rest(constants).visit(tree)
    frozen = {name: frozenset(found) for name, found in codes.items()}
    return ModuleText(path, stamp, frozen, constants, ast.dump(rest))


def _inner(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _inner(one)


@lru_cache(maxsize=10_000)  # functions are asked for with each graph
def written(code: CodeType) -> bytes:
    """Write code without its place, so that equal ones are equal."""
    read = bytecode.read(code)
    return read.label + b"".join(map(_constant, read.constants))


def _constant(value: Any) -> bytes:
    if isinstance(value, CodeType):
        return written(value)
    if isinstance(value, frozenset):  # in any order
        return b"".join(sorted(map(_constant, value)))
    return repr(value).encode(errors="surrogatepass") + b";"


def _constants(tree: ast.Module) -> dict[str, str]:
    """Give the variables that a module sets once, to what is written there and can't change."""
    bound = [name for node in ast.walk(tree) for name in _bound(node)]
    if "*" in bound:
        return {}
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


def _bound(node: ast.AST) -> Iterator[str]:
    """Name the variables that a part of a source sets, or deletes."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.MatchMapping):
        yield node.rest or ""
    elif isinstance(node, _NAMED):
        yield node.name or ""


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
