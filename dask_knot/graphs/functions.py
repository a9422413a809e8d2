"""Objects that functions and classes sent by value hold, and whether running them changes those."""

from __future__ import annotations

import opcode
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any

from cloudpickle import cloudpickle

#: What is held; None if it can be changed by what holds it.
Contents = list[Any] | None

_HERE = frozenset({"__main__", "__mp_main__"})
#: With these a function reaches what its code doesn't name.
_REACHING = frozenset(
    {"globals", "setattr", "delattr", "vars", "exec", "eval", "__dict__", "__globals__"}
)
#: What classes have that is made anew with them, or that nobody changes.
_OF_EVERY_CLASS = frozenset(
    {"__annotations__", "__dataclass_fields__", "__dataclass_params__", "_abc_impl", "__slots__"}
)


def _codes(*names: str) -> frozenset[int]:
    return frozenset(opcode.opmap[name] for name in names if name in opcode.opmap)


_WRITES_GLOBALS = _codes("STORE_GLOBAL", "DELETE_GLOBAL")
_WRITES_CELLS = _codes("STORE_DEREF", "DELETE_DEREF")
_WRITES_ATTRIBUTES = _codes("STORE_ATTR", "DELETE_ATTR")


def is_by_name(value: Any) -> bool:
    """Tell whether a function or class is imported where it is used, instead of being sent along.

    The state of an imported module is that of the process: so it is on any Dask worker.
    """
    module = getattr(value, "__module__", None)
    if module in _HERE or not isinstance(module, str):
        return False
    home = sys.modules.get(module)
    if home is None or _is_registered(module):
        return False
    try:
        return attrgetter(value.__qualname__)(home) is value
    except AttributeError:
        return False


def _is_registered(module: str) -> bool:
    registered = cloudpickle.list_registry_pickle_by_value()
    return any(f"{module}.".startswith(f"{name}.") for name in registered)


def held_by_function(function: FunctionType) -> Contents:
    """List what a function holds; None if running it may change itself or what it is made of."""
    if is_by_name(function):
        return []
    facts = _look_at(function.__code__)
    if facts.reaches or (facts.writes_cells and function.__code__.co_freevars):
        return None
    named = _named(function, facts)
    if facts.writes_attributes and any(_is_own_code(value) for value in named):
        return None
    values: list[Any] = [function.__defaults__, *(function.__kwdefaults__ or {}).values()]
    return [*named, *values, *function.__dict__.values()]


def held_by_class(kind: type) -> Contents:
    """List what a class holds; None if its methods may change it."""
    if is_by_name(kind):
        return []
    held = {name: value for name, value in vars(kind).items() if name not in _OF_EVERY_CLASS}
    for value in held.values():
        function = getattr(value, "__func__", value) if _is_method(value) else None
        if function is not None and not held.keys().isdisjoint(_written(function.__code__)):
            return None
    return [*held.values(), *kind.__bases__]


def _is_method(value: Any) -> bool:
    kind = type(value)
    if kind in (staticmethod, classmethod):
        return type(value.__func__) is FunctionType
    return kind is FunctionType


def _is_own_code(value: Any) -> bool:
    kind = type(value)
    return (kind is FunctionType or issubclass(kind, type)) and not is_by_name(value)


def _named(function: FunctionType, facts: _CodeFacts) -> list[Any]:
    """List the globals and captured variables that a function names."""
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name == "__class__":  # of a method that calls `super`
            continue
        try:
            found.append(cell.cell_contents)
        except ValueError:  # nothing is in it yet
            continue
    known = function.__globals__
    return found + [known[name] for name in facts.names if name in known]


@dataclass(frozen=True, slots=True)
class _CodeFacts:
    """Effects of a function's code, functions inside of it included."""

    names: frozenset[str]
    reaches: bool
    writes_cells: bool
    writes_attributes: bool


def _look_at(code: CodeType) -> _CodeFacts:
    names: set[str] = set()
    operations: set[int] = set()
    for one in _all_codes(code):
        names.update(one.co_names)
        operations.update(one.co_code[::2])
    return _CodeFacts(
        frozenset(names),
        not (_REACHING.isdisjoint(names) and _WRITES_GLOBALS.isdisjoint(operations)),
        not _WRITES_CELLS.isdisjoint(operations),
        not _WRITES_ATTRIBUTES.isdisjoint(operations),
    )


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _all_codes(constant)


def _written(code: CodeType) -> Iterator[str]:
    """Name the attributes that some code writes."""
    for one in _all_codes(code):
        high = 0
        for operation, low in zip(one.co_code[::2], one.co_code[1::2], strict=True):
            if operation == opcode.EXTENDED_ARG:
                high = (high | low) << 8
                continue
            if operation in _WRITES_ATTRIBUTES:
                yield one.co_names[high | low]
            high = 0
