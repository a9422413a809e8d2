"""The maps of a `Knot` in its run: what each one is, and where those values are that it found.

Values that a map itself has made are found by the record, as all keys are: an item's key is the
name of its map and its number. What an earlier session had made has another key there.
"""

from __future__ import annotations

import logging
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.foundation import Foundation, OneReader, Readers
from dask_knot.run.manifest import Place
from dask_knot.run.names import Names
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense
from dask_knot.run.ownership import put_ours
from dask_knot.run.store import Store

logger = logging.getLogger(__name__)

#: In a table: an item that has no place.
_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class MapRecord:
    """What a run keeps of a map.

    Attributes
    ----------
    name : str
        Its name, with which the keys of its items begin.
    session : int
        The number of the session that it is of.
    made : float
        When, in seconds since the epoch.
    number : int
        It is that one of the run's maps.
    items : int or None
        How many items it has; None while they are being read.
    function, code : str
        The name of the function, and the digest of its code; empty if it has none.
    starmap : bool
        Whether each item has all arguments.
    variables : sequence of str
        The names of the environment variables that were set for it.
    pickle : bytes
        The function; empty if it is too large to be kept here.
    error : str
        Why not all items could be read.
    """

    name: str
    session: int
    made: float
    number: int = 0
    items: int | None = None
    function: str = ""
    code: str = ""
    starmap: bool = False
    variables: Sequence[str] = ()
    pickle: bytes = b""
    error: str = ""

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.MAP, asdict(self))

    @classmethod
    def decode(cls, name: str, data: Bytes) -> MapRecord:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.MAP, name, data)
        try:
            return cls(**fields)
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


class PlaceTable:
    """Places by number, in few bytes each: there may be millions."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._known: dict[str, int] = {}
        self._which, self._offsets, self._lengths = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._which)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlaceTable) and dict(self.items()) == dict(other.items())

    def put(self, number: int, place: Place) -> None:
        """Note where something is."""
        missing = number + 1 - len(self._which)
        if missing > 0:
            self._which.extend([_NOWHERE] * missing)
            self._offsets.extend([0] * missing)
            self._lengths.extend([0] * missing)
        which = self._known.get(place.name)
        if which is None:
            which = self._known[place.name] = len(self._names)
            self._names.append(place.name)
        self._which[number], self._offsets[number] = which, place.offset
        self._lengths[number] = place.length

    def get(self, number: int) -> Place | None:
        """Tell where something is, if that is known."""
        if not 0 <= number < len(self._which) or self._which[number] == _NOWHERE:
            return None
        name = self._names[self._which[number]]
        return Place(name, self._offsets[number], self._lengths[number])

    def outside(self, is_own: Callable[[str], bool]) -> PlaceTable:
        """Give what is in other objects than our own, by the names of these."""
        found = PlaceTable()
        others = {which for which, name in enumerate(self._names) if not is_own(name)}
        if others:
            for number, place in self.items():
                if self._which[number] in others:
                    found.put(number, place)
        return found

    def items(self) -> Iterator[tuple[int, Place]]:
        """Give all that is known."""
        for number in range(len(self._which)):
            if (place := self.get(number)) is not None:
                yield number, place

    def encode(self) -> list[Bytes]:
        """Write it."""
        columns = (self._which, self._offsets, self._lengths)
        packed = [zlib.compress(column.tobytes(), 1) for column in columns]
        return note.encode(NoteKind.TAKEN, {"names": self._names, "columns": packed})

    @classmethod
    def decode(cls, name: str, data: Bytes) -> PlaceTable:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.TAKEN, name, data)
        made = cls()
        try:
            made._names = list(fields["names"])
            columns = [array("q", zlib.decompress(one)) for one in fields["columns"]]
            made._which, made._offsets, made._lengths = columns
            if len({*map(len, columns)}) > 1 or max(made._which, default=-1) > len(made._names) - 1:
                raise ValueError(f"{name} has columns that don't belong together")
        except (*NONSENSE, zlib.error) as error:
            raise makes_no_sense(name, error) from error
        made._known = {name: number for number, name in enumerate(made._names)}
        return made


class MapBook:
    """The maps of a named run, in verbs, which raise what those of an `Archive` do.

    Parameters
    ----------
    store : Store
        Where the objects are.
    names : Names
        What they are called.
    foundation : Foundation
        Tells whether the run is there still.
    """

    def __init__(self, store: Store, names: Names, foundation: Foundation) -> None:
        self._store = store
        self._names = names
        self._foundation = foundation

    def claim(self, record: MapRecord) -> MapRecord:
        """Write a new map, whose name gets the number that it claims; give it as it is then."""
        number = max(self._numbers(), default=-1) + 1
        while True:
            made = replace(record, number=number, name=f"{record.name}-{number}")
            self._foundation.check_alive()
            if put_ours(self._store, self._names.map(number), made.encode()):
                return made
            number += 1

    def write(self, record: MapRecord) -> None:
        """Write a map over what was written of it before."""
        self._put(self._names.map(record.number), record.encode())

    def read_all(self, pool: Readers | None = None) -> list[MapRecord]:
        """Read all maps, the oldest first: a listing, and a read for each.

        Those that can't be read are left out, and the log says so.
        """
        found = (pool or OneReader()).map(self._read, self._numbers())
        return [record for record in found if record is not None]

    def write_taken(self, number: int, places: PlaceTable) -> None:
        """Write where values of a map are that earlier sessions had made."""
        self._put(self._names.taken(number), places.encode())

    def read_taken(self, number: int) -> PlaceTable:
        """Read where values of a map are that earlier sessions had made."""
        name = self._names.taken(number)
        try:
            return PlaceTable.decode(name, self._store.get(name))
        except MissingObjectError:
            return PlaceTable()

    def _numbers(self) -> list[int]:
        return self._names.parse_maps(self._store.list(self._names.maps))

    def _read(self, number: int) -> MapRecord | None:
        name = self._names.map(number)
        try:
            return MapRecord.decode(name, self._store.get(name))
        except (MissingObjectError, CorruptObjectError) as error:
            logger.warning("skipping a map: %s", error)
            return None

    def _put(self, name: str, frames: Sequence[Bytes]) -> None:
        self._foundation.check_alive()
        self._store.put(name, frames)
        self._foundation.check_alive(name)
