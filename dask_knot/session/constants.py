"""Large constants in the store: written once, read by place, deleted with their last pack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dask.typing import Key

from dask_knot.graphs.constants import LARGE, Constant
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.run.run import Run


class StoredConstants:
    """Knows which constants are in the store, and which packs read them.

    A constant lives as long as a pack that reads it: as long as the pack's jobs may be run, and as
    long as what they made is held, so that what is submitted meanwhile finds it. When it is needed
    again later on, it is written again. Not for several threads.

    Parameters
    ----------
    run : Run
        Where they go.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._places: dict[Key, Place] = {}
        self._readers: dict[str, set[str]] = {}  # packs by object
        self._read: dict[str, set[str]] = {}  # objects by pack

    def put(self, stage: StageId, constants: Mapping[Key, Constant]) -> Mapping[Key, Place]:
        """Write the large ones of a stage's constants, in one object, unless they are there.

        Returns
        -------
        mapping of Key to Place
            Where they are; small ones have no place.

        Raises
        ------
        StoreError
            If they can't be written.
        """
        large = {key: constant for key, constant in constants.items() if constant.size >= LARGE}
        new = {key: one.parts for key, one in large.items() if key not in self._places}
        if new:
            self._places |= self._run.write_constants(stage, new)
        found = {key: self._places[key] for key in large}
        pack = self._run.names.pack(stage)
        for name in {place.name for place in found.values()}:
            self._readers.setdefault(name, set()).add(pack)
            self._read.setdefault(pack, set()).add(name)
        return found

    def forget(self, objects: Collection[str]) -> None:
        """Write the constants in some objects again when they are needed next."""
        self._places = {k: place for k, place in self._places.items() if place.name not in objects}

    def release(self, packs: Iterable[str]) -> list[str]:
        """Note that packs are deleted, and name the objects that none reads any more."""
        free = []
        for pack in packs:
            for name in sorted(self._read.pop(pack, ())):
                readers = self._readers[name]
                readers.discard(pack)
                if not readers:
                    del self._readers[name]
                    free.append(name)
        if free:
            self.forget(free)
        return free
