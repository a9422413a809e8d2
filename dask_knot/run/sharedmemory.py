"""Memory that all processes of this machine share, as a second place for the values of a store.

A value there is a file of a file system in memory (``/dev/shm``), and in the store's own folder a
link stands under its name: whoever reads, lists or looks for objects sees no difference, and the
link is what makes it appear. Only what a `FileWriter` has written may be there, and only in a store
whose client has made room for it: it leaves a note of that in the folder, which jobs find.

Whoever writes decides alone whether a value goes there, by what is free at the moment; what doesn't
fit goes into the folder. `Spill` moves values from here to there: at first the copy takes the
link's place, then the file goes. So one that finds a link and no file looks once more.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

from dask_knot.run.headroom import Headroom

#: Stands before digits at the end of the name of a file that is no object: obstore lists no such.
MARK = "#"
#: The note in a store's folder.
NOTE = f"shared-memory{MARK}0"
_numbers = count()


@dataclass(frozen=True)
class SharedMemory:
    """A folder in memory for values of one store.

    Attributes
    ----------
    folder : str
        Its path.
    floor : int
        Bytes of its file system that stay free.
    reserve : int
        Bytes of memory that stay available to everybody else.
    """

    folder: str
    floor: int
    reserve: int

    @classmethod
    def of(cls, store: Path) -> SharedMemory | None:
        """Find the memory of a store's folder, if it has one."""
        try:
            text = (store / NOTE).read_text()
            found = cls(**json.loads(text))
        except (OSError, ValueError, TypeError):
            return None
        return found if os.path.isdir(found.folder) else None

    def is_reached_from(self, store: Path) -> bool:
        """Tell whether links in a store's folder lead here: some disks have or follow none."""
        target, link = Path(self.new_file("link")), store / f"link{MARK}{unique_number()}"
        try:
            target.touch()
            link.symlink_to(target)
            link.open("rb").close()
        except OSError:
            return False
        finally:
            for path in (link, target):
                with suppress(OSError):
                    path.unlink()
        return True

    def note(self, store: Path) -> None:
        """Let all who open a store find it."""
        (store / NOTE).write_text(json.dumps(asdict(self)))

    @cached_property
    def _headroom(self) -> Headroom:
        return Headroom()

    def lack(self, size: int = 0) -> int:
        """Tell how many bytes there are too few for as many more; 0 or less if they fit."""
        lacks = [self.reserve + size - self._headroom.available()]
        try:
            found = os.statvfs(self.folder)
        except OSError:  # somebody has removed it
            return max(1, size)
        if found.f_blocks:  # else it may grow as it likes
            lacks.append(self.floor + size - found.f_bavail * found.f_frsize)
        return max(lacks)

    def new_file(self, name: str) -> str:
        """Give the path of a new file for an object."""
        return f"{self.folder}/{name.replace('/', '+')}{MARK}{unique_number()}"

    def objects(self) -> list[tuple[str, str]]:
        """Name the objects that have files here, and the paths of these."""
        with suppress(OSError):
            return [(_name_of(entry.name), entry.path) for entry in os.scandir(self.folder)]
        return []

    def holds(self, target: str) -> bool:
        """Tell whether a path is of a file here."""
        return os.path.dirname(target) == self.folder


def unique_number() -> str:
    """Give digits that no other process or thread of this machine has."""
    return f"{os.getpid():07}{next(_numbers):07}"


def _name_of(file: str) -> str:
    return file.rpartition(MARK)[0].replace("+", "/")
