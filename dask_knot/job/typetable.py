"""The types of the values that leave a shard, each of which is named once, and their sizes."""

from __future__ import annotations

from collections.abc import Iterable

from dask.utils import typename
from distributed.protocol import pickle
from distributed.sizeof import safe_sizeof

#: No value says that it has more bytes than fit into the number that says so.
LARGEST = 2**63 - 1


class TypeTable:
    """Numbers types, behind those that earlier attempts have numbered."""

    def __init__(self) -> None:
        self._recovered: list[tuple[bytes, str]] = []
        self._types: dict[type, int] = {}

    def recover(self, rows: Iterable[tuple[bytes, str]]) -> int:
        """Take over a table, before any type is numbered; tell by how much its numbers grow."""
        shift = len(self._recovered)
        self._recovered += rows
        return shift

    def number(self, value: object) -> int:
        """Give the number of a value's type."""
        return len(self._recovered) + self._types.setdefault(type(value), len(self._types))

    def rows(self) -> list[tuple[bytes, str]]:
        """Give each type's pickle and name."""
        return [*self._recovered, *((_pickled(kind), typename(kind)) for kind in self._types)]


def _pickled(kind: type) -> bytes:
    try:
        return bytes(pickle.dumps(kind))
    except Exception:  # a type that only lives in the job: the future's type is for show
        return bytes(pickle.dumps(object))


def memory_size(value: object) -> int:
    """Tell how large a value is in memory, as far as it knows that itself: users' code runs."""
    return min(max(int(safe_sizeof(value)), 0), LARGEST)
