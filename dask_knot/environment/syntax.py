"""The imports of a syntax tree: pure.

Whatever a module may import when it runs counts, also within functions, branches and `try`. What
only type checkers import doesn't: no job needs it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

#: Functions that import what their first argument names.
IMPORTERS = ("import_module", "__import__", "importorskip", "import_required")
#: What is caught where an import may fail.
CAUGHT = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
#: Conditions that are true on some machines, or with some versions of Python, only.
ELSEWHERE = ("version_info", "platform", "system", "name", "implementation", "find_spec")


class ImportedName(NamedTuple):
    """Something that a source imports.

    Attributes
    ----------
    dotted : str
        Its name; of ``from a import b``, ``a.b``, which may be a module or what a module has.
    level : int
        The number of dots before it: 0 if the import isn't relative.
    is_optional : bool
        Whether the source does without it.
    """

    dotted: str
    level: int = 0
    is_optional: bool = False


def imported(tree: ast.AST) -> Iterator[ImportedName]:
    """Give what a tree imports, as often as it does."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:  # not by recursion: generated code is deeper than Python's stack
        node, is_optional = waiting.pop()
        for dotted, level in _names(node):
            yield ImportedName(dotted, level, is_optional)
        waiting += [(child, is_optional or is_safe) for child, is_safe in _children(node)]


def _names(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, 0) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = f"{node.module}." if node.module else ""
        for alias in node.names:
            yield (module + alias.name).removesuffix(".*"), node.level
    elif isinstance(node, ast.Call) and _last_name(node.func) in IMPORTERS and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            dotted = name.value.lstrip(".")
            if all(part.isidentifier() for part in dotted.split(".")):
                yield dotted, len(name.value) - len(dotted)


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Give the nodes below one, and whether imports in them may fail."""
    if isinstance(node, ast.If):
        names = {_last_name(one) for one in ast.walk(node.test)}
        is_elsewhere = not names.isdisjoint(ELSEWHERE) and not _is_main(node.test)
        body = [] if _last_name(node.test) == "TYPE_CHECKING" else node.body
        yield from ((child, is_elsewhere) for child in (node.test, *body, *node.orelse))
        return
    is_safe = False
    if isinstance(node, ast.Try):
        is_safe = any(_is_caught(handler.type) for handler in node.handlers)
    elif isinstance(node, ast.With):
        is_safe = any(_suppresses(item.context_expr) for item in node.items)
    yield from ((child, is_safe) for child in ast.iter_child_nodes(node))


def _is_main(test: ast.AST) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(test))


def _is_caught(caught: ast.AST | None) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(kind is None or _last_name(kind) in CAUGHT for kind in kinds)


def _suppresses(context: ast.AST) -> bool:
    is_suppress = isinstance(context, ast.Call) and _last_name(context.func) == "suppress"
    return is_suppress and any(_is_caught(one) for one in getattr(context, "args", ()))


def _last_name(node: ast.AST | None) -> str:
    """Give the last part of a dotted name; nothing of what isn't one."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
