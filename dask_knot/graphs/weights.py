"""Tells roughly how large an object is, at once: graphs have millions of them, nearly all small.

No code of a user's class is run for it, and nothing raises: what an object says of itself, even of
its class, may load gigabytes, ask a server, or find that what it stands for is gone. So types are
taken from `type`, attributes from where Python keeps them, sizes from libraries that are known.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from math import inf
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    NoneType,
)
from typing import Any

from dask.sizeof import sizeof

from dask_knot.internals import Alias, TaskRef

#: What an item of a container counts at least, so that looking at many of them comes to an end.
LEAST = 8
#: Containers up to this length are looked at item by item, longer ones at so many items of them.
LOOKED_AT = 256
#: Small by nature.
PLAIN = frozenset(
    {
        *(int, float, complex, bool, NoneType, slice, type, range, TaskRef, Alias),
        *(ModuleType, type(Ellipsis)),
    }
)
#: Of a module, or of an instance that goes with it.
BUILT_IN = frozenset({BuiltinFunctionType, MethodWrapperType})
#: Their length is their size.
TEXTS = frozenset({str, bytes, bytearray})
_SEQUENCES = frozenset({list, tuple})
_PLAIN_METACLASSES = (type, ABCMeta)
_TAKEN_APART = frozenset({list, tuple, dict})
#: Their objects say what they hold in memory, and load nothing for it.
_KNOWN = frozenset({"numpy", "pandas", "pyarrow", "scipy", "polars", "torch", "cupy", "array"})
_MRO = type.__dict__["__mro__"]
_CLASS_DICT = type.__dict__["__dict__"]
_MODULE_DICT = vars(ModuleType)["__dict__"]
#: Containers in containers: what is made of them is pickled several calls a level.
DEEPEST = 50


def is_heavy(value: Any, limit: int) -> bool:
    """Tell whether an object may have `limit` bytes when it is pickled.

    Parameters
    ----------
    value : object
        Anything: containers are looked into, objects as well, functions where they hold values.
    limit : int
        Bytes. What is at least so large by its own account counts, though its pickle may be small.
    """
    if (
        kind_of(value) in _SEQUENCES
        and len(value) <= LOOKED_AT
        and PLAIN.issuperset(map(kind_of, value))
    ):
        return LEAST * len(value) >= limit
    return weigh(value, limit) >= limit


def weigh(value: Any, limit: float = inf) -> int:
    """Give about the bytes of an object when it is pickled; it isn't looked at beyond a limit."""
    weight = 0
    left: list[tuple[object, float]] = [(value, 1.0)]
    while left:
        one, times = left.pop()
        kind = kind_of(one)
        if kind in PLAIN:
            weight += int(LEAST * times)
        elif kind in TEXTS:
            weight += int((LEAST + len(one)) * times)  # type: ignore[arg-type]
        else:
            own, inside, share = _look_into(one)
            weight += int((LEAST + own) * times)
            left += [(item, times * share) for item in inside]
        if weight >= limit:
            break
    return weight


def kind_of(value: object) -> type:
    """Give the type of an object; `object` for one whose own class decides what it equals."""
    kind = type(value)
    return kind if type(kind) in _PLAIN_METACLASSES else object


def is_tangled(value: Any) -> bool:
    """Tell whether a list, tuple or dict holds itself, or others so deep that nobody should follow.

    Such a one can be pickled as it is, but not taken apart.
    """
    inside: set[int] = set()
    done: set[int] = set()
    left: list[tuple[Any, bool]] = [(value, False)]
    while left:
        one, is_left = left.pop()
        if is_left:
            inside.discard(id(one))
            done.add(id(one))
        elif id(one) in inside or len(inside) > DEEPEST:
            return True
        elif id(one) not in done:
            inside.add(id(one))
            left.append((one, True))
            items = one.values() if type(one) is dict else one
            followed = [item for item in items if kind_of(item) in _TAKEN_APART]
            left += [(item, False) for item in followed if len(item) <= LOOKED_AT]
    return False


def _look_into(value: Any) -> tuple[int, Iterable[object], float]:
    """Give the bytes of an object itself, what it holds, and for how many each of that stands."""
    kind = kind_of(value)
    if kind in _SEQUENCES:
        step = max(1, -(-len(value) // LOOKED_AT))
        return 0, value[::step], step
    if kind in (set, frozenset, dict):
        items = value.values() if kind is dict else value
        return 0, islice(items, LOOKED_AT), max(1.0, len(value) / LOOKED_AT)
    if kind is FunctionType:
        return 0, _held_by_function(value), 1
    if kind is partial:
        return 0, (value.func, value.args, value.keywords), 1
    if kind is MethodType:
        return 0, (value.__func__, value.__self__), 1
    if kind in BUILT_IN:
        return 0, (value.__self__,), 1
    kind = type(value)
    if issubclass(kind, type):
        return 0, (), 1
    try:
        return _own_size(value, kind), _attributes(value, kind), 1
    except Exception:  # whatever it is, it is weighed again when it is pickled
        return 0, (), 1


def _own_size(value: Any, kind: type) -> int:
    """Ask a library how large an object of it is; one of a user's own class tells nothing."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.ndarray):
        return int(numpy.ndarray.nbytes.__get__(value))
    if issubclass(kind, memoryview):
        return int(value.nbytes)
    module = _CLASS_DICT.__get__(kind).get("__module__")
    if isinstance(module, str) and module.partition(".")[0] in _KNOWN:
        return max(_whole(getattr(value, "nbytes", 0)), _whole(sizeof(value)))
    return 0


def _attributes(value: Any, kind: type) -> list[object]:
    """List what an object holds in its dict and slots, without asking it."""
    held: list[object] = []
    # A class whose own class decides what it equals can't be looked up.
    entries = _entries(kind) if type(kind) in _PLAIN_METACLASSES else _entries.__wrapped__(kind)
    for entry in entries:
        with suppress(AttributeError):  # nothing is in it
            held.append(entry.__get__(value))
    return held


@lru_cache(maxsize=1000)
def _entries(kind: Any) -> list[Any]:
    """List the descriptors of what instances of a class hold: looked for once only."""
    return [
        entry
        for base in _MRO.__get__(kind)
        for name, entry in _CLASS_DICT.__get__(base).items()
        if type(entry) is MemberDescriptorType
        or (name == "__dict__" and type(entry) is GetSetDescriptorType)
    ]


def _whole(number: object) -> int:
    return number if type(number) is int else 0


def _held_by_function(function: FunctionType) -> list[object]:
    """List what cloudpickle sends along with a function that can't be imported where it runs."""
    module = function.__module__
    home = sys.modules.get(module) if type(module) is str else None
    # Not by `getattr`: a module that is loaded when it is used would be loaded.
    names = _MODULE_DICT.__get__(home) if issubclass(type(home), ModuleType) else {}
    if names.get(function.__name__) is function:
        return []
    held: list[object] = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # nothing is in it yet
            continue
    known = function.__globals__
    return held + [known[name] for name in function.__code__.co_names if name in known]
