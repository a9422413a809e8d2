"""The members of classes, without what says where they stand, and what Python derives from them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from dask_knot.digests import impurity

#: Members of classes that say where they are from, what they are called, or what is derived.
_OF_EVERY_CLASS = frozenset(
    {
        *("__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__name__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
        *("__slotnames__", "__type_params__"),
        *("__dataclass_fields__", "__parameters__", "__orig_bases__", "__match_args__"),
    }
)
_MEMBER_KINDS = ("getset_descriptor", "member_descriptor")


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Give what a class is made of."""
    if issubclass(kind, enum.Enum):
        yield "members", [(name, one.value) for name, one in kind.__members__.items()]
    fields = kind.__dict__.get("__dataclass_fields__")
    if fields is not None:
        yield "fields", [_field(field) for field in fields.values()]
    for name, value in sorted(vars(kind).items()):
        if name in _OF_EVERY_CLASS or type(value).__name__ in _MEMBER_KINDS:
            continue
        if name in impurity.WRITERS:
            continue  # whoever calls it is refused; whoever doesn't, doesn't care
        if issubclass(kind, enum.Enum) and _is_of_enum(kind, name, value):
            continue
        yield name, value


def _is_of_enum(kind: type[enum.Enum], name: str, value: Any) -> bool:
    """Tell a member of an enum, and what the enum keeps of them, from what the user wrote."""
    if isinstance(value, FunctionType | staticmethod | classmethod):
        return False
    is_inner = name.startswith("_") and name.endswith("_")
    return is_inner or name in kind.__members__ or type(value).__module__ == "enum"


def _field(field: Any) -> tuple[Any, ...]:
    flags = (field.init, field.repr, field.hash, field.compare, field.kw_only)
    return (field.name, field.default, field.default_factory, *flags, dict(field.metadata))
