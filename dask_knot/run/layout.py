"""Several values in one object: laid out one after another, neighbors read at once.

Each is aligned as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dask_knot.run import codec
from dask_knot.run.checksum import crc32
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Place
from dask_knot.run.writer import Writer

K = TypeVar("K")

#: So much of a value is copied, summed up and written at once.
BUFFER_BYTES = 256 * 2**10
#: Neighboring values up to this size together are read in one request.
TOGETHER_BYTES = 8 * 2**20
#: A gap up to this size is read with what is wanted on both sides, as a request costs more than it.
GAP_BYTES = 2**20


class Layout:
    """Writes values one after another into an object, each as soon as it is there.

    All goes through a buffer that the processor's cache holds: it is copied once, and the checksum
    is that of the copy.

    Parameters
    ----------
    name : str
        The object.
    writer : Writer
        What it is written with.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        self._name = name
        self._writer = writer
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = self._checksum = 0

    def add(self, parts: Sequence[Bytes]) -> Place:
        """Write a value, given as what `codec.pickled` makes of it; tell where it is.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        if padding := -self._writer.size % codec.ALIGNMENT:
            self._writer.write(bytes(padding))
        offset = self._writer.size
        self._filled = self._checksum = 0
        for piece in codec.stream(parts):
            self._copy(memoryview(piece).cast("B"))
        self._write()
        self._writer.write(codec.sealed(self._checksum))
        return Place(self._name, offset, self._writer.size - offset)

    def _copy(self, piece: memoryview) -> None:
        while piece.nbytes:
            count = min(piece.nbytes, BUFFER_BYTES - self._filled)
            self._buffer[self._filled : self._filled + count] = piece[:count]
            self._filled += count
            if self._filled == BUFFER_BYTES:
                self._write()
            piece = piece[count:]

    def _write(self) -> None:
        copied = self._buffer[: self._filled]
        self._checksum = crc32(copied, self._checksum)
        self._writer.write(copied)
        self._filled = 0


def write_all(name: str, writer: Writer, values: Mapping[K, Sequence[Bytes]]) -> dict[K, Place]:
    """Write an object of values that exist already; tell where each is.

    Raises
    ------
    StoreError
        If that can't be done; nothing of it stays then.
    """
    layout = Layout(name, writer)
    try:
        places = {key: layout.add(parts) for key, parts in values.items()}
        writer.commit()
    finally:
        writer.abort()
    return places


def lay_out(name: str, values: Mapping[K, Bytes]) -> tuple[list[Bytes], dict[K, Place]]:
    """Lay values that exist already one after another.

    Parameters
    ----------
    name : str
        The object.
    values : mapping of Key to bytes-like
        What `codec.whole` gave for each.

    Returns
    -------
    list of bytes-like
        What `Store.put` takes.
    dict of Key to Place
        Where each value will be.
    """
    pieces: list[Bytes] = []
    places: dict[K, Place] = {}
    position = 0
    for key, value in values.items():
        padding = -position % codec.ALIGNMENT
        pieces += [bytes(padding), value]
        places[key] = Place(name, position + padding, len(value))
        position += padding + len(value)
    return pieces, places


def neighbors(places: Sequence[Place]) -> list[list[int]]:
    """Group places that follow one another closely, in the order given.

    Parameters
    ----------
    places : sequence of Place
        Where values are.

    Returns
    -------
    list of list of int
        Indices of `places`; each group is one range of one object.
    """
    groups: list[list[int]] = []
    size = 0
    for number, place in enumerate(places):
        size += place.length
        before = places[groups[-1][-1]] if groups else None
        if before is None or not _follows(place, before) or size > TOGETHER_BYTES:
            groups.append([])
            size = place.length
        groups[-1].append(number)
    return groups


def ranges(places: Sequence[Place], most: int) -> list[list[int]]:
    """Group places so that one range is read of each object, as far as ``most`` bytes go.

    Parameters
    ----------
    places : sequence of Place
        Where values are, in the order in which they are needed.
    most : int
        Bytes that may be read before the first of them is needed: of what comes later, other
        ranges are read.

    Returns
    -------
    list of list of int
        Indices of `places`; each group is one range of one object, by offset. Groups come in the
        order in which something of them is needed.
    """
    found: list[list[int]] = []
    window: list[int] = []
    size = 0
    for number, place in enumerate(places):
        if window and size + place.length > most:
            found += _by_object(places, window)
            window, size = [], 0
        window.append(number)
        size += place.length
    return found + _by_object(places, window)


def _by_object(places: Sequence[Place], numbers: Sequence[int]) -> list[list[int]]:
    """Group what lies in one object and next to each other, but for gaps."""
    by_name: dict[str, list[int]] = {}
    for number in numbers:
        by_name.setdefault(places[number].name, []).append(number)
    groups: list[list[int]] = []
    for members in by_name.values():
        members.sort(key=lambda number: places[number].offset)
        wanted = 0
        for number in members:
            place = places[number]
            before = places[groups[-1][-1]] if wanted else None
            # Half of what is read, at most, is what nobody wants.
            gap = max(codec.ALIGNMENT, min(GAP_BYTES, wanted))
            if before is None or not 0 <= _gap(place, before) < gap:
                groups.append([])
                wanted = 0
            groups[-1].append(number)
            wanted += place.length
    return sorted(groups, key=min)


def _follows(place: Place, before: Place) -> bool:
    return place.name == before.name and 0 <= _gap(place, before) < codec.ALIGNMENT


def _gap(place: Place, before: Place) -> int:
    return place.offset - (before.offset + before.length)
