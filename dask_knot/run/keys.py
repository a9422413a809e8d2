"""Many keys as few bytes: unpacked when somebody looks, and most of the time nobody does."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
from dask.typing import Key

from dask_knot.errors import CorruptObjectError
from dask_knot.run import scripts

#: A key that msgpack has no type for, pickled.
_PICKLED = 1
#: Texts may have halves of characters.
UNICODE = "surrogatepass"


class KeyList(Sequence[Key]):
    """Keys that are unpacked when somebody looks: most of the time nobody does."""

    def __init__(self, packed: bytes, length: int) -> None:
        self.packed = packed
        self._length = length
        self._keys: tuple[Key, ...] | None = None

    @classmethod
    def of(cls, keys: Sequence[Key]) -> KeyList:
        """Pack keys."""
        data = msgpack.packb(list(keys), default=_other, unicode_errors=UNICODE)
        return cls(zlib.compress(data, 1), len(keys))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        return self._unpacked()[index]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._unpacked())

    def _unpacked(self) -> tuple[Key, ...]:
        if self._keys is None:
            data = zlib.decompress(self.packed)
            keys: tuple[Key, ...] = msgpack.unpackb(
                data, use_list=False, unicode_errors=UNICODE, ext_hook=_of_other
            )
            if len(keys) != self._length:
                raise CorruptObjectError(f"a record has {len(keys)} keys instead of {self._length}")
            self._keys = keys
        return self._keys


def _other(value: Any) -> Any:
    """Write a key that msgpack doesn't know.

    A number of NumPy becomes one of Python: they are equal, and so are keys of them.
    """
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool | int | float | str | bytes) and plain is not value:
        return plain
    return msgpack.ExtType(_PICKLED, bytes(scripts.dumps(value)))


def _of_other(code: int, data: bytes) -> Any:
    return pickle.loads(data)
