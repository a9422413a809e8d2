"""What a syntax tree imports."""

from __future__ import annotations

import ast

import pytest

from dask_knot.environment.syntax import imported


def needs(text: str) -> dict[str, bool]:
    """Give the names that a text imports, and whether it does without them."""
    found: dict[str, bool] = {}
    for name in imported(ast.parse(text)):
        dotted = "." * name.level + name.dotted
        found[dotted] = found.get(dotted, True) and name.is_optional
    return found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a.b.c as d, e", {"a.b.c", "e"}),
        ("from a.b import c, d", {"a.b.c", "a.b.d"}),
        ("from a import *", {"a"}),
        ("from . import b\nfrom ..c import d", {".b", "..c.d"}),
        ("def f():\n    import lazy\n    class A:\n        import deep", {"lazy", "deep"}),
        ("import importlib\nimportlib.import_module('x.y')", {"importlib", "x.y"}),
        ("from il import import_module\nimport_module('x')", {"il.import_module", "x"}),
        ("m = __import__('x')", {"x"}),
        ("import_module('.x', __package__)", {".x"}),
        ("import_module(name)\nimport_module('not a name')\nimport_module()", set()),
        ("if __name__ == '__main__':\n    import argh", {"argh"}),
        ("match 1:\n    case _:\n        import a", {"a"}),
        ("async def f():\n    async with b:\n        import a", {"a"}),
        ("await x\nimport a", {"a"}),
    ],
)
def test_what_is_imported(text: str, names: set[str]) -> None:
    found = needs(text)
    assert found.keys() == names
    assert not any(found.values())


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import a\nexcept ImportError:\n    a = None",
        "try:\n    pass\nexcept ModuleNotFoundError:\n    import a",
        "try:\n    import a\nexcept (ValueError, ImportError) as error:\n    pass",
        "try:\n    import a\nexcept:\n    pass",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import a",
        "import sys\nif sys.version_info < (3, 11):\n    import a",
        "import sys\nif sys.platform == 'win32':\n    import a",
    ],
)
def test_what_a_source_does_without(text: str) -> None:
    assert needs(text)["a"] is True


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import a\nexcept ValueError:\n    pass",
        "try:\n    import a\nexcept ImportError:\n    pass\nimport a",
        "with open('x'):\n    import a",
        "if 1:\n    import a",
    ],
)
def test_what_it_needs(text: str) -> None:
    assert needs(text)["a"] is False


def test_what_only_type_checkers_import_is_nobodys() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b"
    assert needs(text).keys() == {"typing.TYPE_CHECKING", "b"}
    assert needs("if typing.TYPE_CHECKING:\n    import a") == {}


def test_a_tree_deeper_than_pythons_stack_is_walked() -> None:
    tree: ast.expr = ast.Constant(1)
    for _ in range(5000):
        tree = ast.UnaryOp(ast.USub(), tree)
    assert list(imported(tree)) == []
