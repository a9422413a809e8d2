"""Takes values apart: what is known by its kind, all else by how it would be pickled."""

from __future__ import annotations

import copyreg
import datetime
import enum
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from dask_knot.digests import arrays, impurity, readers
from dask_knot.digests.code import CodeReader
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.walk import Opened

#: State of objects is taken by this protocol: later ones hand out buffers that must be released.
_PROTOCOL = 4
#: What `functools.update_wrapper` gives an object beside the function.
_OF_WRAPPERS = frozenset({*functools.WRAPPER_ASSIGNMENTS} - {"__name__"})
_PARTIAL_NAMES = ("calls", "arguments", "keywords", "attributes")


class ObjectReader:
    """Takes anything apart.

    Parameters
    ----------
    code : CodeReader
        Does so with what can be called.
    """

    def __init__(self, code: CodeReader) -> None:
        self._code = code
        self._kinds: Mapping[type, Callable[[Any], Opened]] = {
            FunctionType: code.function,
            CodeType: code.code,
            ModuleType: code.module,
            type: code.kind,
            BuiltinFunctionType: self._builtin,
            MethodType: _method,
            MethodDescriptorType: _descriptor,
            WrapperDescriptorType: _descriptor,
            MethodWrapperType: _bound,
            tuple: lambda value: Opened(b"(", value),
            list: lambda value: Opened(b"[", value),
            dict: _dict,
            MappingProxyType: _dict,
            set: lambda value: Opened(b"<", [*value], is_unordered=True),
            frozenset: lambda value: Opened(b">", [*value], is_unordered=True),
            bytearray: lambda value: Opened(b"bytearray", (bytes(value),)),
            memoryview: lambda value: Opened(b"memoryview", (bytes(value),)),
            functools.partial: _partial,
            staticmethod: lambda value: Opened(b"static", (value.__func__,), ("static",)),
            classmethod: lambda value: Opened(b"class", (value.__func__,), ("method",)),
            property: _property,
            functools.cached_property: _cached_property,
            slice: lambda value: Opened(b"slice", (value.start, value.stop, value.step)),
            datetime.timedelta: lambda value: Opened(repr(value).encode()),
        }

    def open(self, value: Any) -> Opened:
        """Take an object apart.

        Raises
        ------
        UndigestibleError
            If that can't be done, or not be relied on.
        """
        why = impurity.reason(value, False)
        if why is not None:
            name = getattr(value, "__name__", type(value).__name__)
            raise UndigestibleError(f"{why} ({name})")
        try:
            return self._opened(value)
        except UndigestibleError:
            raise
        except Exception as error:  # code of anybody may have been called
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            words = str(error) or type(error).__name__
            raise UndigestibleError(f"an object of {kind} can't be digested: {words}") from error

    def _opened(self, value: Any) -> Opened:
        kind = type(value)
        known = self._kinds.get(kind)
        if known is not None:
            return known(value)
        if isinstance(value, type):
            return self._code.kind(value)
        if isinstance(value, ModuleType):
            return self._code.module(value)
        instead = readers.opened(value)
        if instead is not None:
            # What is of a known kind may be of a class of the user's, that reads in its own way.
            return Opened(b"reader", (kind, instead), ("kind", "reads"))
        found = arrays.opened(value) or self._wrapped(value)
        if found is not None:
            return found
        if isinstance(value, logging.Logger):  # most are called as their module
            return Opened(b"logger")
        if isinstance(value, os.PathLike):
            return Opened(b"path" + kind.__name__.encode(), (os.fspath(value),))
        if isinstance(value, enum.Enum):
            return Opened(b"enum", (kind, value.name), ("class", "name"))
        return self._pickled(value)

    def _builtin(self, value: Any) -> Opened:
        owner = value.__self__
        if owner is None or type(owner) is ModuleType:
            return self._code.compiled(value)
        return Opened(b"builtin " + value.__name__.encode(), (owner,), ("of",))

    def _wrapped(self, value: Any) -> Opened | None:
        """Open what wraps functions in a way that is known."""
        named = self._code.by_name(value) if callable(value) else None
        if named is not None:
            return named
        kind = type(value).__name__
        if kind == "curry" and hasattr(value, "func"):  # of toolz, which pickles it by its name
            return Opened(b"curry", (value.func, value.args, _named(value.keywords.items())))
        if kind == "_lru_cache_wrapper":
            parameters = (value.__wrapped__, value.cache_parameters())
            return Opened(b"lru_cache", parameters, ("function", "parameters"))
        if kind == "cython_function_or_method":
            return self._code.compiled(value)
        if type(value).__module__.startswith("numba.") and hasattr(value, "py_func"):
            options = getattr(value, "targetoptions", {})
            return Opened(b"numba", (type(value), value.py_func, options), ("kind", "function", ""))
        return None

    def _pickled(self, value: Any) -> Opened:
        """Open an object by what pickle would keep of it."""
        reducer = copyreg.dispatch_table.get(type(value))
        reduced = value.__reduce_ex__(_PROTOCOL) if reducer is None else reducer(value)
        if isinstance(reduced, str):
            return self._code.named(value, reduced)
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        if type(state) is dict:
            skipped = _OF_WRAPPERS if "__wrapped__" in state else ()
            state = _named([(name, one) for name, one in state.items() if name not in skipped])
        parts = (make, arguments, state, list(items or ()), list(pairs or ()))
        return Opened(b"object", parts, ("made by", "of", "state", "items", "pairs"))


def _method(value: MethodType) -> Opened:
    if readers.is_unfilled(value):
        parts = (value.__func__, readers.without_tasks(value.__self__))
        return Opened(b"method", parts, ("function", "of"))
    return Opened(b"method", (value.__func__, value.__self__), ("function", "of"))


def _descriptor(value: Any) -> Opened:
    return Opened(b"descriptor " + value.__name__.encode(), (value.__objclass__,), ("of",))


def _bound(value: Any) -> Opened:
    return Opened(b"bound " + value.__name__.encode(), (value.__self__,), ("of",))


def _dict(value: Mapping[Any, Any]) -> Opened:
    return Opened(b"{", [one for item in value.items() for one in item])


def _named(items: Iterable[tuple[str, Any]]) -> tuple[Any, ...]:
    """Make a container of what has names: no dict, in which an address is taken for a text."""
    return ("named", *[one for item in items for one in item])


def _partial(value: functools.partial[Any]) -> Opened:
    parts = (value.func, value.args, _named(value.keywords.items()), vars(value))
    return Opened(b"partial", parts, _PARTIAL_NAMES)


def _property(value: property) -> Opened:
    return Opened(b"property", (value.fget, value.fset, value.fdel), ("get", "set", "delete"))


def _cached_property(value: functools.cached_property[Any]) -> Opened:
    return Opened(b"cached_property", (value.func, value.attrname), ("get", "name"))
