"""Programs, and edits of them of which it is known whether they change what is computed."""

from __future__ import annotations

import ast
import copy
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from random import Random
from types import ModuleType

from dask.typing import Key

from dask_knot.digests import Digester
from dask_knot.internals import Task

#: All that stands in these is reached from `work`; what isn't, is in `IDLE`.
MAIN = '''
"""The task."""

import functools
import math
from dataclasses import dataclass, field
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

import numpy as np

import HELPERS as tools
from HELPERS import scaled
from DEEP import Base

LIMIT = 3
TABLE = {"low": 1.5, "high": (2, b"x", None), "set": {"one", "two", "three"}}


def traced(weight):
    """Decorate."""

    def wrap(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs) * weight

        return inner

    return wrap


@dataclass
class Point:
    """A point."""

    x: int = 4
    names: list = field(default_factory=lambda: ["p"])

    def norm(self) -> float:
        """Give the norm."""
        return math.sqrt(self.x**2 + 7)

    @property
    def half(self):
        return self.x / 2

    @classmethod
    def of(cls, x):
        return cls(x + 11)

    @staticmethod
    def twice(x):
        return x * 12


class Pair(NamedTuple):
    first: int
    second: int = 21


class Color(Enum):
    """Colors."""

    RED = 31
    BLUE = 32

    def mixed(self):
        return self.value + 33


class Child(Base):
    ratio = 41

    def __init__(self, start=42):
        super().__init__()
        self.start = start

    def run(self):
        return self.shared() + self.ratio + self.start


def even(n):
    return n == 51 or odd(n - 52)


def odd(n):
    return n != 53 and even(n - 54)


def countdown(n):
    return 61 if n < 62 else countdown(n - 63)


def made(step):
    def closed(x):
        return x + step + 71

    return closed


plus = made(72)
halved = functools.partial(scaled, by=73)
square = lambda x: x**74 + LIMIT


@functools.lru_cache(maxsize=75)
def cached(x):
    return x - 76


@functools.singledispatch
def shown(x):
    return 77


@shown.register
def _(x: int):
    return x + 78


@traced(79)
def decorated(x):
    return x * 80


def work(x, factor=81, *, offset=82):
    """Do the work.

    At length.
    """
    import DEEP
    from LOCAL import local as here

    total = x in {"alpha", "beta", "gamma"}
    try:
        total += tools.clean(x) * factor + offset
    except (ValueError, KeyError) as error:
        total -= len(str(error)) + 83
    for index, each in enumerate([1, 84, x]):
        if index % 85:
            continue
        total += {key: value + 86 for key, value in TABLE.items()}["low"] + each
    with np.errstate(divide="ignore"):
        total += float(np.linalg.norm(np.array([87.0, 88.5])))
    total += Point(89).norm() + Point.of(90).half + Point.twice(91) + Pair(92).second
    total += Color.RED.mixed() + Child(93).run() + even(94) + countdown(95)
    total += plus(96) + halved(97) + square(98) + cached(99) + shown(100) + decorated(101)
    total += DEEP.deepest(102) + here(103)
    return f"{total:>10} {itemgetter(0)([104])}" if LIMIT else -total
'''

HELPERS = '''
"""Helpers."""

import DEEP as lower

FACTOR = 201


def clean(x):
    """Clean."""
    return lower.deepest(x) + FACTOR


def scaled(x, by):
    return x * by * 202
'''

DEEP = '''
"""Two imports away."""

STEPS = (301, 302.5, "step")


def deepest(x):
    return x + STEPS[0] if x else 303


class Base:
    common = 304

    def shared(self):
        return self.common + 305
'''

LOCAL = """
def local(x):
    return x + 401
"""

#: Nothing of it is reached from `work`.
IDLE = """

def unrelated(x):
    return x + 901


class Unrelated:
    value = 902


UNRELATED = [903]
"""


@dataclass(frozen=True)
class Sources:
    """A program: texts by what their modules are, and the names that these have."""

    texts: Mapping[str, str]
    names: Mapping[str, str]

    def written(self) -> dict[str, str]:
        """Give the text of each module by its name."""
        found = {}
        for place, text in self.texts.items():
            for other, name in self.names.items():
                text = text.replace(other, name) if other != "MAIN" else text
            found[self.names[place]] = text
        return found

    def with_text(self, place: str, text: str) -> Sources:
        """Give the program with another text of a module."""
        return replace(self, texts={**self.texts, place: text})


PLACES = ("MAIN", "HELPERS", "DEEP", "LOCAL")
PROGRAM = Sources(
    dict(zip(PLACES, (MAIN, HELPERS, DEEP, LOCAL), strict=True)),
    {place: f"knot_{place.lower()}" for place in PLACES},
)


#: It remembers what is installed, which takes a while to find out.
DIGESTER = Digester()


@contextmanager
def loaded(program: Sources, folder: Path) -> Iterator[ModuleType]:
    """Import a program from a folder; give the module of its task."""
    written = program.written()
    for name, text in written.items():
        (folder / f"{name}.py").write_text(text)
    made: dict[str, ModuleType] = {}
    before = {name: sys.modules.pop(name, None) for name in written}
    try:
        for place in reversed(PLACES):
            name = program.names[place]
            module = made[name] = sys.modules[name] = ModuleType(name)
            module.__file__ = str(folder / f"{name}.py")
            exec(compile(written[name], module.__file__, "exec"), vars(module))
        yield made[program.names["MAIN"]]
    finally:
        for name, module_before in before.items():
            sys.modules.pop(name, None)
            if module_before is not None:
                sys.modules[name] = module_before


def digest_of(function: Callable[..., object], *args: object) -> bytes | None:
    """Give the digest of a task that calls a function."""
    key: Key = "key"
    found = DIGESTER.of_graph({key: Task(key, function, *args)}, lambda key: None)
    assert bool(found.digests) != bool(found.refusals)
    return found.digests.get(key)


def program_digest(program: Sources, folder: Path) -> bytes:
    """Give the digest of a program's task, which must have one."""
    with loaded(program, folder) as module:
        found = digest_of(module.work, 1)
    assert found is not None
    return found


# --- Edits that change nothing --------------------------------------------------------------------


def blank_lines(text: str, random: Random) -> str:
    """Add blank lines and comments between statements at the top, and above all."""
    lines = []
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith(('"', "@", "def", "class", ")")):
            lines += [""] * random.randrange(3) + ["# a remark"] * random.randrange(2)
        lines.append(line)
    return "\n" * random.randrange(9) + "\n".join(lines) + "\n"


def comments(text: str, random: Random) -> str:
    """Add comments at the ends of lines where a statement ends."""
    ends = {
        token.start[0]
        for token in tokenize.generate_tokens(StringIO(text).readline)
        if token.type == tokenize.NEWLINE
    }
    lines = text.splitlines()
    for number in ends:
        if random.random() < 0.5:
            lines[number - 1] += "  # why"
    return "\n".join(lines) + "\n"


def reformatted(text: str, random: Random) -> str:
    """Write the text as Python itself would."""
    return ast.unparse(ast.parse(text)) + "\n"


class _Docstrings(ast.NodeTransformer):
    """Changes, adds or removes all docstrings."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def _documented(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        assert isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        has_one = ast.get_docstring(node) is not None
        if has_one:
            del node.body[0]
        if self._random.random() < 0.7 or not node.body:
            text = ast.Constant(f"Other words: {self._random.random()}")
            node.body.insert(0, ast.Expr(text))
        return node

    visit_Module = visit_FunctionDef = visit_ClassDef = _documented


def docstrings(text: str, random: Random) -> str:
    """Change, add and remove docstrings."""
    return _unparsed(_Docstrings(random).visit(ast.parse(text)))


class _Annotations(ast.NodeTransformer):
    """Annotates parameters and results of functions at the top."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name != "_":  # `singledispatch` reads its annotation
            node.returns = ast.Constant("int")
            for argument in node.args.args:
                argument.annotation = ast.Constant("float")
        return node  # those of functions inside are made when they run


def annotations(text: str, random: Random) -> str:
    """Annotate functions."""
    return _unparsed(_Annotations().visit(ast.parse(text)))


def sets_in_other_order(text: str, random: Random) -> str:
    """Write the elements of sets in another order."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Set):
            random.shuffle(node.elts)
    return _unparsed(tree)


def idle_code(text: str, random: Random) -> str:
    """Add what nothing uses."""
    return text + IDLE


def _unparsed(tree: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


KEEPING: tuple[Callable[[str, Random], str], ...] = (
    blank_lines,
    comments,
    reformatted,
    docstrings,
    annotations,
    sets_in_other_order,
    idle_code,
)


def kept(program: Sources, random: Random) -> Sources:
    """Edit a program here and there so that it computes the same."""
    texts = dict(program.texts)
    for place in PLACES:
        for edit in random.sample(KEEPING, random.randrange(len(KEEPING))):
            texts[place] = edit(texts[place], random)
    names = dict(program.names)
    for place in ("MAIN", "HELPERS"):  # of the others a function has the name in its own text
        if random.random() < 0.5:
            names[place] = f"{names[place]}_{random.randrange(1000)}"
    return Sources(texts, names)


# --- Edits that change what is computed -----------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """An edit that must be noticed."""

    place: str
    line: int
    what: str
    text: str


def changes(program: Sources) -> list[Change]:
    """List all edits of one constant, operator, name or statement that change the work."""
    found = []
    for place in PLACES:
        text = program.texts[place]
        count = len(list(_sites(ast.parse(text))))
        for number in range(count):
            tree = ast.parse(text)
            node, what, edit = list(_sites(tree))[number]
            edit()
            found.append(Change(place, getattr(node, "lineno", 0), what, _unparsed(tree)))
    return found


_OPPOSITES: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.In: ast.NotIn,
}
Site = tuple[ast.AST, str, Callable[[], None]]


def _sites(tree: ast.Module) -> Iterator[Site]:
    """Find what can be edited."""
    mute = {id(node) for node in _mute(tree)}
    for node in ast.walk(tree):
        if id(node) in mute:
            continue
        if isinstance(node, ast.Constant):
            yield node, "constant", lambda node=node: setattr(node, "value", _other(node.value))
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            is_plus = isinstance(node.op, ast.Add)
            operator = ast.Sub() if is_plus else ast.Add()
            yield node, "operator", lambda n=node, op=operator: setattr(n, "op", op)
        elif isinstance(node, ast.Compare):
            opposite = _OPPOSITES[type(node.ops[0])]()
            yield node, "comparison", lambda n=node, op=opposite: setattr(n, "ops", [op])
        elif isinstance(node, ast.IfExp):
            yield node, "branches", lambda n=node: _swap(n)
        elif isinstance(node, ast.Return) and not isinstance(node.value, ast.Name | None):
            yield node, "result", lambda n=node: setattr(n, "value", _wrapped(n.value))


def _mute(tree: ast.Module) -> Iterator[ast.AST]:
    """Find docstrings, annotations and imports: to edit them changes nothing, or breaks all."""
    for node in ast.walk(tree):
        is_block = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if is_block and ast.get_docstring(node) is not None:
            yield from ast.walk(node.body[0])
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield from ast.walk(node.annotation)
        if isinstance(node, ast.AnnAssign):
            yield from ast.walk(node.annotation)


def _other(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return 5
    if isinstance(value, str):
        return f"{value}x" if value else "y"
    if isinstance(value, bytes):
        return value + b"y"
    return value + 1  # type: ignore[operator]


def _swap(node: ast.IfExp) -> None:
    node.body, node.orelse = node.orelse, node.body


def _wrapped(value: ast.expr | None) -> ast.expr:
    assert value is not None
    return ast.Tuple([copy.deepcopy(value), ast.Constant(0)], ast.Load())
