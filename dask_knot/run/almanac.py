"""Almanac: what tasks have cost in the runs of a store that have no name, for later ones.

    STORE/_costs/000000000000-00000000    what one run knows, overwritten: when it began, and a
                                          checksum of its name

A run with a name has profiles of its own, which are deleted with it. Those without one leave only
this. No run can have the folder's name. When there are many objects, whoever reads them writes one
in their place; another one who does so at the same time may count some of them twice, which does no
harm: they are means that count, and the newest ones go first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from zlib import crc32

from dask_knot.errors import CorruptObjectError, MissingObjectError, RunFormatError, StoreError
from dask_knot.run.foundation import OneReader, Readers
from dask_knot.run.names import Names
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.run.store import Store

logger = logging.getLogger(__name__)

#: More objects than these become one.
MOST_OBJECTS = 20
#: Prefixes, with different code, that are known at most; the oldest ones go.
MOST_COSTS = 5_000
#: Of what so many newer tasks are known, older ones say nothing more.
ENOUGH_TASKS = 1_000

_FOLDER = "_costs/"
_NAME = re.compile(r"\d{12}-[^/]+", re.ASCII)


class Almanac:
    """What tasks have cost in runs without a name.

    Its verbs raise StoreError if the store can't be asked. For several threads.

    Parameters
    ----------
    store : Store
        Where the objects are.
    names : Names
        Those of the own run.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        # Not the name of the run, of which nothing else stays.
        self._own = f"{crc32(names.run.encode()):08x}"

    def write(self, began: float, profile: Profile) -> None:
        """Write what tasks have cost in this run, over what it wrote before.

        Parameters
        ----------
        began : float
            When the run began, in seconds since the epoch: the same each time.
        profile : Profile
            What is known.
        """
        name = f"{_FOLDER}{int(began):012}-{self._own}"
        self._store.put(name, recent([profile]).encode())

    def read(self, pool: Readers | None = None) -> Profile:
        """Read what tasks have cost in other runs: a listing, and a read for each.

        What can't be read is left out. If there are many, they are written as one, and deleted,
        if that is possible.
        """
        listed = sorted(self._store.list(_FOLDER), reverse=True)
        names = [name for name in listed if _NAME.fullmatch(name.removeprefix(_FOLDER))]
        read = (pool or OneReader()).map(self._read, names)
        found = {name: one for name, one in zip(names, read, strict=True) if one is not None}
        known = recent(found.values())
        if len(found) > MOST_OBJECTS:
            try:
                self._replace([*found], known)
            except StoreError as error:  # it may be read, but not written, or not by us
                logger.info("the records of what tasks cost could not be merged: %s", error)
        return known

    def _read(self, name: str) -> Profile | None:
        try:
            return Profile.decode(name, self._store.get(name))
        except (MissingObjectError, CorruptObjectError, RunFormatError):
            return None

    def _replace(self, names: list[str], known: Profile) -> None:
        """Put one object, as old as the newest, in the place of many."""
        time = names[0].removeprefix(_FOLDER).partition("-")[0]
        whole = f"{_FOLDER}{time}-{self._own}-and-before"
        self._store.put(whole, known.encode())
        self._store.delete([name for name in names if name != whole])


def recent(profiles: Iterable[Profile]) -> Profile:
    """Add up profiles, the newest of which come first, as far as older ones still say something."""
    costs: dict[ProfileKey, TaskCosts] = {}
    for profile in profiles:
        for key, more in profile.costs.items():
            known = costs.get(key)
            if known is None and len(costs) < MOST_COSTS:
                costs[key] = more
            elif known is not None and known.tasks < ENOUGH_TASKS:
                costs[key] = known + more
    return Profile(costs)
