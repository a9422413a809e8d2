"""The memory that the jobs of this machine share with their client, as long as that is open."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from dask_knot.local.scratch import Scratch
from dask_knot.local.spill import Spill
from dask_knot.run.headroom import Headroom
from dask_knot.run.mapping import file_system_of
from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.sharedmemory import SharedMemory

logger = logging.getLogger(__name__)

#: Where Linux has files in memory. Others have none that outlive who made them.
PLACE = Path("/dev/shm")
#: Of less it is not worth moving values in and out: containers have 64 MiB, if nobody asks for
#: more, and what they run may need them.
LEAST = 256 * 2**20
#: File systems that are memory.
IN_MEMORY = ("tmpfs", "ramfs")
#: This share of a machine's memory, or of a container's limit, stays available to all else.
RESERVE = 0.15


class Commons:
    """A folder in memory for values of one store, with a thread that moves out what is too much.

    Attributes
    ----------
    path : Path
        The folder, which is removed when this is closed, by the fork server when the client is
        killed, and by the next client when both are.
    memory : SharedMemory
        What those know who write there.
    """

    def __init__(self, scratch: Scratch, memory: SharedMemory, share: int) -> None:
        self._scratch = scratch
        self.path = scratch.path
        self.memory = memory
        self._share = share
        self._lock = threading.Lock()
        self._spill: Spill | None = None

    @classmethod
    def of_share(
        cls, wanted: float, place: Path = PLACE, headroom: Headroom | None = None
    ) -> Commons | None:
        """Make one if this machine has room for it.

        Parameters
        ----------
        wanted : float
            A share of what is free, up to 1, or bytes.
        place : Path
            A folder of a file system in memory.
        headroom : Headroom, optional
            Tells how much memory there is.

        Returns
        -------
        Commons or None
            None if there is no such memory, or too little, or temporary files are in memory anyway.
        """
        headroom = headroom or Headroom()
        share, floor, reserve = _rules(wanted, place, headroom)
        if share < LEAST:
            logger.debug("values are kept on disk: only %d bytes of %s are free", share, place)
            return None
        try:
            scratch = Scratch(place)
            values = scratch.path / "values"
            values.mkdir()
        except OSError as error:
            logger.debug("values are kept on disk: %s", error)
            return None
        return cls(scratch, SharedMemory(str(values), floor, reserve), share)

    def serve(self, store: Path) -> None:
        """Let the values of a store's folder lie here, which is made if it isn't there.

        Does nothing if that can't be: whoever opens the store says what is wrong with it.
        """
        with self._lock, suppress(OSError):
            if self._spill is not None:
                return
            store.mkdir(parents=True, exist_ok=True)
            if not self.memory.is_reached_from(store):
                logger.debug("values are kept on disk: links out of %s don't work", store)
                return
            self.memory.note(store)
            self._spill = Spill(ObjectFiles(store), self.memory, self._share)
            self._spill.start()

    def close(self) -> None:
        """Remove it all."""
        with self._lock:
            if self._spill is not None:
                self._spill.close()
        self._scratch.close()


def _rules(wanted: float, place: Path, headroom: Headroom) -> tuple[int, int, int]:
    """Give the bytes that values may take, and those that stay free of the place and of memory."""
    nothing = 0, 0, 0
    if not wanted or file_system_of(place) not in IN_MEMORY:
        return nothing
    if file_system_of(tempfile.gettempdir()) in IN_MEMORY:
        return nothing
    try:
        found = os.statvfs(place)
    except OSError:
        return nothing
    least = int(headroom.total * RESERVE)
    available = headroom.available()
    has_limit = found.f_blocks > 0  # else it may grow as it likes
    free = found.f_bavail * found.f_frsize if has_limit else available
    room = min(free, available - least)
    share = min(room, int(wanted * min(free, available) if wanted <= 1 else wanted))
    if has_limit:
        return share, free - share, least
    return share, 0, available - share
