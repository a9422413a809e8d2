"""Tells roughly how large an object is, at once: graphs have millions of them, nearly all small."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

from dask._task_spec import Alias, TaskRef
from dask.sizeof import sizeof

#: What an item of a container counts at least, so that looking at many of them comes to an end.
LEAST = 8
#: Containers up to this length are looked at item by item, longer ones at so many items of them.
LOOKED_AT = 256
#: Small by nature.
PLAIN = frozenset(
    {
        *(int, float, complex, bool, NoneType, slice, type, range, TaskRef, Alias),
        *(BuiltinFunctionType, ModuleType, type(Ellipsis)),
    }
)
#: Their length is their size.
TEXTS = frozenset({str, bytes, bytearray})
_SEQUENCES = frozenset({list, tuple})
_TAKEN_APART = frozenset({list, tuple, dict})
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
    if type(value) in _SEQUENCES and len(value) <= LOOKED_AT and PLAIN.issuperset(map(type, value)):
        return LEAST * len(value) >= limit
    weight = 0
    left: list[tuple[object, float]] = [(value, 1.0)]
    while left:
        one, times = left.pop()
        kind = type(one)
        if kind in PLAIN:
            weight += int(LEAST * times)
        elif kind in TEXTS:
            weight += int((LEAST + len(one)) * times)  # type: ignore[arg-type]
        else:
            own, inside, share = _look_into(one)
            weight += int((LEAST + own) * times)
            left += [(item, times * share) for item in inside]
        if weight >= limit:
            return True
    return False


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
            followed = [item for item in items if type(item) in _TAKEN_APART]
            left += [(item, False) for item in followed if len(item) <= LOOKED_AT]
    return False


def _look_into(value: Any) -> tuple[int, Iterable[object], float]:
    """Give the bytes of an object itself, what it holds, and for how many each of that stands."""
    kind = type(value)
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
    if isinstance(value, type):
        return 0, (), 1
    try:
        # By its own account: a broadcast array is small here, but not when it is pickled.
        own = max(_whole(getattr(value, "nbytes", 0)), _whole(sizeof(value)))
        return own, [getattr(value, "__dict__", {})], 1
    except Exception:  # these are attributes of any user's class
        return 0, (), 1


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0


def _held_by_function(function: FunctionType) -> list[object]:
    """List what cloudpickle sends along with a function that can't be imported where it runs."""
    home = sys.modules.get(function.__module__)
    if getattr(home, function.__name__, None) is function:
        return []
    held: list[object] = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # nothing is in it yet
            continue
    known = function.__globals__
    return held + [known[name] for name in function.__code__.co_names if name in known]
