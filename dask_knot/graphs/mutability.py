"""Tells what of a task can be changed while it runs: each task must have that for itself.

Nothing here calls what belongs to a user's object: only types, and what the interpreter knows of
functions and containers, are looked at. Where nobody can tell, it can be changed.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import gc
import operator
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from dask_knot.graphs.functions import Contents, held_by_class, held_by_function, is_by_name
from dask_knot.graphs.weights import BUILT_IN, PLAIN

#: Of these no instance can be changed.
FIXED = (PLAIN - {type}) | {
    *(str, bytes, datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
    *(datetime.timezone, decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern),
    *(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath),
    *(operator.itemgetter, operator.attrgetter, operator.methodcaller, type(NotImplemented)),
    *(types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType),
    *(types.GetSetDescriptorType, types.MemberDescriptorType),
}
#: Types of instances that can't be changed, by the module that has them: they may not be installed.
_FIXED_ELSEWHERE = {
    "numpy": ("generic", "dtype", "ufunc"),
    "pandas": ("Timestamp", "Timedelta", "Period", "api.extensions.ExtensionDtype"),
}
#: Looking for what two values share ends after so many objects.
LOOKED_AT = 10_000
#: Of so many values it is remembered what they reach.
REMEMBERED = 1_000


def can_change(value: object) -> bool:
    """Tell whether a task that gets a value could change it, or something that it holds."""
    seen: set[int] = set()
    left: list[object] = [value]
    while left:
        one = left.pop()
        kind = _kind(one)
        if kind in FIXED or id(one) in seen:
            continue
        seen.add(id(one))
        try:
            held = _held(one, kind)
        except Exception:  # what looks like a function of a library's may lack what they have
            return True
        if held is None:
            return True
        left += held
    return False


def _kind(value: object) -> Any:
    """Give the type of an object; `object` for one of a class that nobody can look up."""
    kind = type(value)
    return object if type(kind).__hash__ is None else kind


class Sharing:
    """Tells whether values reach the same object that can be changed.

    Thousands of tasks may have the same arguments: it remembers what these reach, so they must be
    kept as long as this is.
    """

    def __init__(self) -> None:
        self._known: dict[int, frozenset[int]] = {}

    def among(self, values: Sequence[object]) -> bool:
        """Tell whether two of several values reach the same object that can be changed."""
        *rest, largest = sorted(map(self._reach, values), key=len)
        reached: set[int] = set()
        for one in rest:
            if not reached.isdisjoint(one):
                return True
            reached |= one
        return not reached.isdisjoint(largest)  # goes through the smaller of the two

    def _reach(self, value: object) -> frozenset[int]:
        known = self._known.get(id(value))
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[id(value)] = frozenset(id(one) for one in _reached(value))
        return known


def _held(value: Any, kind: Any) -> Contents:
    """List what a value holds; None if it can be changed itself."""
    if kind is tuple or kind is frozenset:
        return list(value)
    if kind is FunctionType:
        return held_by_function(value)
    if kind is partial:
        return None if value.__dict__ else _held_by_partial(value)
    if kind is MethodType:
        return [value.__func__, value.__self__]
    if kind in BUILT_IN:
        return [value.__self__]
    if kind in (staticmethod, classmethod):
        return [value.__func__]
    if kind is property:
        return [value.fget, value.fset, value.fdel]
    if kind is functools._lru_cache_wrapper:  # what is kept is what the function gives
        return [value.__wrapped__]
    if issubclass(kind, type):
        return held_by_class(value)
    if issubclass(kind, tuple) and not kind.__dictoffset__:  # a named one
        return list(tuple.__iter__(value))
    if kind in _of_toolz("Compose"):
        return [value.first, *value.funcs]
    if kind in _of_toolz("curry"):
        return _held_by_partial(value)
    if kind is _array() and not value.size:  # Dask's tasks have many, which say a type only
        return []
    return [] if _is_fixed(kind) else None


def _held_by_partial(value: Any) -> list[Any]:
    """List what a partial holds; functions of Dask's own change none of their arguments.

    Their values are shared by tasks on any Dask cluster, too. What they call is looked at.
    """
    given = [*value.args, *value.keywords.values()]
    # Not all functions have a module, or a text for one: NumPy's own have None.
    module = str(getattr(value.func, "__module__", ""))
    if module.partition(".")[0] == "dask" and is_by_name(value.func):
        for container in [one for one in given if type(one) in (list, dict)]:
            given += container.values() if type(container) is dict else container
        given = [one for one in given if type(one) not in (list, dict, _array())]
    return [value.func, *given]


def _of_toolz(name: str) -> list[type]:
    """Give a type of the library with which Dask makes functions of functions."""
    modules = (sys.modules.get(f"{library}.functoolz") for library in ("toolz", "cytoolz"))
    return [getattr(module, name) for module in modules if module is not None]


def _array() -> Any:
    return getattr(sys.modules.get("numpy"), "ndarray", None)


@functools.lru_cache(maxsize=1000)
def _is_fixed(kind: Any) -> bool:
    return issubclass(kind, (Enum, *_fixed_elsewhere())) and kind.__name__ != "void"


def _fixed_elsewhere() -> list[Any]:
    found: list[Any] = []
    for module, names in _FIXED_ELSEWHERE.items():
        if module in sys.modules:
            found += [operator.attrgetter(name)(sys.modules[module]) for name in names]
    if "numpy" in sys.modules:  # functions of its own kind
        found.append(type(sys.modules["numpy"].sum))
    return found


def _reached(value: object) -> Collection[object]:
    """List the objects that can be changed and are reached from a value, as far as one can see."""
    found: dict[int, object] = {}
    left = [value]
    while left and len(found) < LOOKED_AT:
        one = left.pop()
        kind = _kind(one)
        if kind in FIXED or id(one) in found or issubclass(kind, (type, ModuleType)):
            continue
        if kind is not FunctionType:
            found[id(one)] = one
        left += _referred(one, kind)
    return found.values()


def _referred(value: Any, kind: type) -> Iterable[object]:
    if kind is FunctionType:  # not all of its globals
        return held_by_function(value) or (*(value.__closure__ or ()), value.__defaults__)
    return gc.get_referents(value)
