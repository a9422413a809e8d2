"""Moves values from shared memory to the disk before there is no room for new ones."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.sharedmemory import SharedMemory

logger = logging.getLogger(__name__)

#: Seconds between two looks, and after a disk that took nothing.
INTERVAL, REST = 0.5, 10.0
#: Seconds after which a file that no object links to is taken for one that has lost its writer.
ABANDONED = 60.0
#: When less than this share is free, so much becomes free.
LOW, ENOUGH = 0.1, 0.3


class _Candidate(NamedTuple):
    """A file in memory: of which object, of how many bytes, and how many seconds ago written."""

    name: str
    target: str
    size: int
    age: float


class Spill:
    """A thread of the client: moves the oldest and largest values.

    What was made long ago is read later than what is new, or by nobody, and a large one makes room
    at once: they go by bytes times age. Whoever writes meanwhile and finds no room doesn't wait: it
    writes to the disk.

    Parameters
    ----------
    files : ObjectFiles
        The files of the store.
    memory : SharedMemory
        Where they may be.
    share : int
        Bytes that they may take there.
    """

    def __init__(self, files: ObjectFiles, memory: SharedMemory, share: int) -> None:
        self._files = files
        self._memory = memory
        self._share = share
        self._is_stuck = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="knot-spill", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the value that it moves just now."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def relieve(self, now: float) -> int:
        """Move values if there is little room; tell how many bytes.

        Parameters
        ----------
        now : float
            Seconds of the epoch.

        Raises
        ------
        OSError
            If the folder can't take one.
        """
        if self._memory.lack(int(self._share * LOW)) <= 0:
            return 0
        is_over = self._closing.is_set
        wanted, moved = self._memory.lack(int(self._share * ENOUGH)), 0
        for _, one in sorted(self._candidates(now), reverse=True):
            if moved >= wanted or is_over():
                break
            with suppress(FileNotFoundError, InterruptedError):  # deleted just now, or over
                moved += one.size if self._remove(one) else 0
        return moved

    def _candidates(self, now: float) -> list[tuple[float, _Candidate]]:
        found = []
        for name, target in self._memory.objects():
            with suppress(FileNotFoundError):
                seen = os.stat(target)
                one = _Candidate(name, target, seen.st_size, now - seen.st_mtime)
                found.append((one.age * one.size, one))
        return found

    def _remove(self, one: _Candidate) -> bool:
        if self._files.move(one.name, one.target, self._closing.is_set):
            return True
        # A job that is killed between its file and the link to it leaves what nobody ever reads.
        is_unused = one.age > ABANDONED and self._files.target(one.name) != one.target
        return is_unused and self._files.drop(one.target)

    def look(self, now: float) -> float:
        """Move values if there is little room; tell in how many seconds to look again.

        A disk that takes none is told of once, not each time.
        """
        try:
            moved = self.relieve(now)
        except OSError as error:
            level = logging.DEBUG if self._is_stuck else logging.WARNING
            text = "values can't be moved from shared memory to disk, so they stay in memory: %s"
            logger.log(level, text, error)
            self._is_stuck = True
            return REST
        if moved:
            logger.debug("%d bytes of values were moved from memory to disk", moved)
            self._is_stuck = False
        return INTERVAL

    def _run(self) -> None:
        pause = INTERVAL
        while not self._closing.wait(pause):
            pause = self.look(time.time())
