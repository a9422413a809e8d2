"""Values on their way to a client: encoded as they were stored, decoded where they arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pickle import PickleBuffer
from typing import Any

from dask.typing import Key

from dask_knot.errors import NotLoadedError
from dask_knot.run import codec

#: Values above this size travel as buffers of their own.
APART_BYTES = 64 * 1024


class EncodedValues:
    """Values on their way to a client: encoded as they were stored, decoded on unpickling there."""

    def __init__(self, values: Mapping[Key, memoryview]) -> None:
        self._values = values

    def __reduce__(self) -> tuple[Any, ...]:
        small = [data for data in self._values.values() if data.nbytes <= APART_BYTES]
        large = [PickleBuffer(d) for d in self._values.values() if d.nbytes > APART_BYTES]
        lengths = [data.nbytes for data in self._values.values()]
        return decode_values, (list(self._values), lengths, b"".join(small), *large)

    def decoded(self) -> dict[Key, Any]:
        """Decode them here."""
        return {key: decoded_value(key, data) for key, data in self._values.items()}


def decode_values(
    keys: Sequence[Key], lengths: Sequence[int], small: bytes, *large: Any
) -> dict[Key, Any]:
    """Decode what `EncodedValues` carries.

    Raises
    ------
    NotLoadedError
        If a value needs a module, or something in it, that isn't here.
    """
    values: dict[Key, Any] = {}
    position, apart = 0, iter(large)
    view = memoryview(small)
    for key, length in zip(keys, lengths, strict=True):
        if length > APART_BYTES:
            values[key] = decoded_value(key, next(apart))
        else:
            values[key] = decoded_value(key, view[position : position + length])
            position += length
    return values


def decoded_value(key: Key, data: memoryview, is_checked: bool = True) -> Any:
    """Decode the value of a key.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written, unless that was checked.
    NotLoadedError
        If a module, or something in it, isn't here.
    """
    try:
        return codec.decode(data, is_checked)
    except (ImportError, AttributeError) as error:
        raise NotLoadedError(
            f"the value of {key!r} exists, but can't be loaded here: {type(error).__name__}: "
            f"{error}. It was made with a module that is missing here or has another "
            "version: put the module beside this program, or install it"
        ) from error
