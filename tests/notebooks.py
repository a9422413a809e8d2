"""Makes the notebooks of the examples from their scripts: `python -m tests.notebooks` writes them.

A notebook has what the script has: its docstring as text, a cell for the imports, for constants,
for each function and class. What can be said on the command line is a cell of variables (tagged
`parameters`), and the rest of `main` the last cell. No outputs are kept: they would grow old.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent.parent / "examples"
PARSER, ARGUMENTS = "parser", "args"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

Cell = dict[str, Any]


def names() -> list[str]:
    """List the examples."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py"))


def path_of(name: str) -> Path:
    """Say where the notebook of an example is."""
    return EXAMPLES / "notebooks" / f"{name}.ipynb"


def notebook(name: str) -> str:
    """Make the text of the notebook of an example.

    Raises
    ------
    ValueError
        If `main` does what can't be done in a cell.
    """
    text = (EXAMPLES / f"{name}.py").read_text()
    tree = ast.parse(text)
    said = ast.get_docstring(tree) or name
    title = "# " + said.replace(".\n", "\n", 1).rstrip() + "\n\n"
    origin = f"As a program: [`{name}.py`](../{name}.py), of which this notebook is made."
    cells = [_cell("markdown", title + origin)]
    cells += [_cell("code", lines) for lines in _definitions(text, tree)]
    variables, rest = _main(name, text, tree)
    cells += [_cell("code", variables, tags=["parameters"]), _cell("code", rest)]
    for number, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{number}"
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def definitions(name: str, wanted: Sequence[str]) -> str:
    """Cut functions, classes and constants out of an example, in their order there.

    Raises
    ------
    ValueError
        If the example has no such definitions.
    """
    text = (EXAMPLES / f"{name}.py").read_text()
    found = dict(_named(text, ast.parse(text)))
    if missing := [one for one in wanted if one not in found]:
        raise ValueError(f"{name} defines no {', '.join(missing)}")
    chosen = [source for one, source in found.items() if one in wanted]
    cell = chosen[0]
    for before, source in pairwise(chosen):
        is_apart = any(re.search(r"^(def|class) ", one, re.MULTILINE) for one in (before, source))
        cell += ("\n\n\n" if is_apart else "\n") + source
    return cell


def _named(text: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give the definitions of a module with the comments above them, by name."""
    lines, end = text.splitlines(), 0
    for node in tree.body:
        start, end = end, node.end_lineno or 0
        source = "\n".join(lines[start:end]).strip("\n")
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, source
        elif isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), source


def _cell(kind: str, text: str, **metadata: Any) -> Cell:
    cell: Cell = {"cell_type": kind, "metadata": metadata, "source": text.splitlines(True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _definitions(text: str, tree: ast.Module) -> Iterator[str]:
    """Cut what stands before `main` into cells: imports, constants, and each definition."""
    docstring, *body = tree.body
    before = body[: body.index(_function(tree, "main"))]
    kinds = {ast.Import: "import", ast.ImportFrom: "import"}
    kinds |= {ast.Assign: "constant", ast.AnnAssign: "constant", ast.Expr: "constant"}
    end = docstring.end_lineno or 0
    for _, group in groupby(before, lambda node: kinds.get(type(node), str(node.lineno))):
        # Comments above a statement are no part of it.
        start, end = end, list(group)[-1].end_lineno or 0
        lines = [line for line in text.splitlines()[start:end] if line != "import argparse"]
        yield "\n".join(lines).strip("\n")


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    [found] = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    return found


def _main(name: str, text: str, tree: ast.Module) -> tuple[str, str]:
    """Give the variables that the command line has, and what `main` does with them."""
    main = _function(tree, "main")
    variables = [_variable(node, text) for node in ast.walk(main) if _is_argument(node)]
    lines, indent = [], ""
    for node in (node for node in main.body if PARSER not in _names(node)):
        source = text.splitlines()[node.lineno - 1 : node.end_lineno]
        if _ends_early(node):
            lines += [*(indent + line for line in source[:-1]), f"{indent}    else:"]
            indent += "    "
        elif any(isinstance(one, ast.Return) for one in ast.walk(node)):
            raise ValueError(f"{name}: a cell can't return in the midst of {source[0].strip()!r}")
        else:
            lines += [indent + line for line in source]
    code = re.sub(rf"\b{ARGUMENTS}\.(\w+)", r"\1", textwrap.dedent("\n".join(lines)))
    return "\n".join(variables), code


def _ends_early(node: ast.stmt) -> bool:
    """Tell whether what follows is the other branch of a condition: a cell needs `else` there."""
    is_one = isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Return)
    return is_one and sum(isinstance(one, ast.Return) for one in ast.walk(node)) == 1


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _is_argument(node: ast.AST) -> bool:
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return is_call and node.func.attr == "add_argument"  # type: ignore[attr-defined]


def _variable(call: Any, text: str) -> str:
    """Write an option of the command line as a variable with its default, and what it means."""
    said = {keyword.arg: keyword.value for keyword in call.keywords}
    variable = call.args[0].value.removeprefix("--").replace("-", "_")
    if "action" in said:
        default = "False"
    else:
        given = said.get("default")
        default = ast.get_source_segment(text, given) if given else "None"
    help = said.get("help")
    return f"{variable} = {default}" + (f"  # {help.value}" if help else "")


if __name__ == "__main__":
    path_of("").parent.mkdir(exist_ok=True)
    for one in sys.argv[1:] or names():
        path_of(one).write_text(notebook(one))
