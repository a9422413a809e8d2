"""Plain values as bytes that differ whenever the values do, in type or in content."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import NoneType
from typing import Any

from dask_knot.digests.files import LONGEST_PATH, FileMarks

#: Bytes of a digest.
SIZE = 16
#: Containers in containers up to here are written at once; what lies deeper is walked.
_DEEPEST = 4
#: Longer containers are digested once, not for each task that has them.
_LONG = 64
_LENGTH = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_PAIR = struct.Struct("<dd")


def digest(data: bytes | memoryview) -> bytes:
    """Give the digest of bytes: SHA-256, which processors do themselves, cut off."""
    return sha256(data).digest()[:SIZE]


def sized(kind: bytes, data: bytes) -> bytes:
    """Give bytes that tell where they end."""
    return kind + _LENGTH.pack(len(data)) + data if len(data) < 2**31 else b"#" + digest(data)


def _whole(value: int) -> bytes:
    return b"i%x;" % value  # of decimal digits Python writes so many only


def _bytes(value: bytes) -> bytes:
    return sized(b"b", value) if len(value) <= _LONG else b"B" + digest(value)


#: Addresses of pages and services, and what names of data end with.
_ADDRESS = re.compile(r"https?://", re.I)
_DATA = re.compile(
    r"[./](nc\d?|cdf|h5|hdf5?|he5|zarr|grib2?|grb2?|tiff?|csv|tsv|txt|dat|json|parquet|arrow|feather"
    r"|npy|npz|pkl|xlsx?|fits|mat|dods|zip|tar|gz|bz2|xz|zst)([?#/].*)?$",
    re.I,
)


class PlainValues:
    """Writes plain values, and containers of them.

    Parameters
    ----------
    files : FileMarks
        What a text that names a file adds.
    """

    def __init__(self, files: FileMarks) -> None:
        self._files = files
        self.marks: dict[str, bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._kinds: Mapping[type, Callable[[Any], bytes]] = {
            NoneType: lambda value: b"N",
            type(Ellipsis): lambda value: b"E",
            type(NotImplemented): lambda value: b"M",
            bool: lambda value: b"T" if value else b"F",
            int: _whole,
            float: lambda value: b"f" + _DOUBLE.pack(value),
            complex: lambda value: b"c" + _PAIR.pack(value.real, value.imag),
            str: self.text,
            bytes: self._path,
        }
        self._containers: Mapping[type, Callable[[Any, int], bytes | None]] = {
            tuple: self._tuple,
            list: self._list,
            dict: self._dict,
            set: self._set,
            frozenset: self._set,
            slice: self._slice,
            range: self._slice,
        }

    def encoded(self, value: Any, depth: int = 0, *, is_noted: bool = False) -> bytes | None:
        """Write a value; None if it isn't plain.

        Parameters
        ----------
        is_noted : bool
            It is a value of a dict: an address there is more often an attribute, such as where to
            read more about a data set, than something to be read.
        """
        kind = type(value)
        if kind is str and is_noted and _ADDRESS.match(value) and not _DATA.search(value):
            return sized(b"s", value.encode(errors="surrogatepass"))
        write = self._kinds.get(kind)
        if write is not None:
            return write(value)
        container = self._containers.get(kind)
        return container(value, depth + 1) if container and depth < _DEEPEST else None

    def text(self, value: str) -> bytes:
        """Write a text, with what marks the file that it names, if it does."""
        known = self._texts.get(value)
        if known is None:
            known = sized(b"s", value.encode(errors="surrogatepass"))
            mark = self._files.mark(value)
            if mark is not None:
                self.marks[value] = mark
                known = sized(b"m", known + mark)
            self._texts[value] = known
        return known

    def _path(self, value: bytes) -> bytes:
        mark = None if len(value) > LONGEST_PATH else self._files.mark(os.fsdecode(value))
        if mark is None:
            return _bytes(value)
        self.marks[repr(value)] = mark
        return sized(b"m", _bytes(value) + mark)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> bytes | None:
        return self._many(b"(", value, depth)

    def _list(self, value: list[Any], depth: int) -> bytes | None:
        return self._many(b"[", value, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> bytes | None:
        if len(value) > _LONG:
            return None
        return self._many(b"{", [one for item in value.items() for one in item], depth, True)

    def _set(self, value: set[Any] | frozenset[Any], depth: int) -> bytes | None:
        if len(value) > _LONG:
            return None
        parts = [self.encoded(one, depth) for one in value]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        return (b"<" if type(value) is set else b">") + b"".join(sorted(found)) + b";"

    def _slice(self, value: slice | range, depth: int) -> bytes | None:
        kind = b"l" if type(value) is slice else b"r"
        return self._many(kind, (value.start, value.stop, value.step), depth)

    def _many(self, kind: bytes, values: Any, depth: int, is_noted: bool = False) -> bytes | None:
        if len(values) > _LONG * 2:
            return None
        parts = [kind]
        for value in values:
            part = self.encoded(value, depth, is_noted=is_noted)
            if part is None:
                return None
            parts.append(part)
        parts.append(b";")
        return b"".join(parts)
