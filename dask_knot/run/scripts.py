"""Pickling of scripts' definitions: by value, whatever wraps them, for nobody else has the script.

cloudpickle does so for functions and classes of ``__main__``. Not for what pickles as a name, such
as a function with `functools.lru_cache` or a sentinel, and not in a spawned process, where the
script is called ``__mp_main__``.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import pickle as plain
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import cloudpickle
from distributed.protocol import pickle

#: What the module of a script is called: in a program, and in processes that it spawns.
SCRIPTS = ("__main__", "__mp_main__")
_SPAWNED = b"__mp_main__"

#: How a type may say itself what it is pickled as.
_WAYS = ("__reduce__", "__reduce_ex__")

Reduced = str | tuple[Any, ...]
Reducer = Callable[[Any], Reduced]


def dumps(value: object, buffer_callback: Callable[[plain.PickleBuffer], Any] | None = None) -> Any:
    """Pickle as Dask does, and what a script defines by value in a spawned process as well.

    Raises
    ------
    Exception
        Whatever pickling `value` raises.
    """
    buffers: list[plain.PickleBuffer] = []
    collect = buffers.append if buffer_callback is not None else None
    body = pickle.dumps(value, buffer_callback=collect)
    if _SPAWNED in body and (script := sys.modules.get("__mp_main__")) is not None:
        buffers.clear()
        with _lock:
            cloudpickle.register_pickle_by_value(script)
            try:
                body = cloudpickle.dumps(value, protocol=5, buffer_callback=collect)
            finally:
                cloudpickle.unregister_pickle_by_value(script)
    for buffer in buffers if buffer_callback is not None else ():
        buffer_callback(buffer)  # type: ignore[misc]
    return body


def install() -> None:
    """Let cloudpickle take by value what a script defines; Dask's own pickling does it, too."""
    table = cloudpickle.CloudPickler.dispatch_table
    if not isinstance(table, _Table):
        cloudpickle.CloudPickler.dispatch_table = _Table(table)


_lock = threading.Lock()


class _Table(dict[type, Reducer]):
    """Reducers by type: those that were there, and ours."""

    def __init__(self, others: Mapping[type, Reducer]) -> None:
        super().__init__(_REDUCERS)
        self._others = others

    def __missing__(self, kind: type) -> Reducer:
        try:
            return self._others[kind]
        except KeyError:
            if all(getattr(kind, name) is getattr(object, name) for name in _WAYS):
                raise
            self[kind] = _unnamed
            return _unnamed


def _is_of_script(value: object) -> bool:
    """Tell whether only this process has what a name stands for, or no other is to be asked."""
    module = getattr(value, "__module__", None)
    return module in SCRIPTS or module in cloudpickle.list_registry_pickle_by_value()


def _unnamed(value: Any) -> Reduced:
    """Reduce by value what would go by a name of the script; it stays one object in a process."""
    reduced: Reduced = value.__reduce_ex__(plain.HIGHEST_PROTOCOL)
    if isinstance(reduced, str) and _is_of_script(value):
        return _known, (_token(value), type(value)), getattr(value, "__dict__", None) or None
    return reduced


#: Objects that have travelled by value though they have names: one each in a process.
_tokens: dict[int, str] = {}
_objects: dict[str, Any] = {}


def _token(value: object) -> str:
    with _lock_of_names:
        token = _tokens.setdefault(id(value), uuid.uuid4().hex)
        _objects[token] = value  # which keeps it, and so its id
    return token


def _known(token: str, kind: type) -> Any:
    with _lock_of_names:
        if token not in _objects:
            value = _objects[token] = copyreg.__newobj__(kind)  # type: ignore[attr-defined]
            _tokens[id(value)] = token
        return _objects[token]


_lock_of_names = threading.Lock()


def _reduce_cached(function: Any) -> Reduced:
    """Reduce a function with a cache; the cache begins empty wherever it comes to."""
    if not _is_of_script(function) and "<locals>" not in function.__qualname__:
        return str(function.__reduce__())
    parameters = function.cache_parameters()
    kind: Any = type(function)
    info: Any = functools._CacheInfo
    arguments = (function.__wrapped__, parameters["maxsize"], parameters["typed"], info)
    return kind, arguments, vars(function)


def _reduce_property(cached: functools.cached_property[Any]) -> Reduced:
    """Reduce it without the lock that it has before Python 3.12."""
    return functools.cached_property, (cached.func,), {"attrname": cached.attrname}


def _reduce_weak(mapping: MutableMapping[Any, Any]) -> Reduced:
    return type(mapping), (dict(mapping),)


_REDUCERS: dict[type, Reducer] = {
    functools._lru_cache_wrapper: _reduce_cached,
    functools.cached_property: _reduce_property,
    weakref.WeakKeyDictionary: _reduce_weak,  # in `functools.singledispatch`
    weakref.WeakValueDictionary: _reduce_weak,
    # Whoever looks at a field compares with the one and only.
    type(dataclasses.MISSING): lambda missing: "MISSING",
}

# Clients and jobs import this before anything is pickled.
install()
