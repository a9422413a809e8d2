"""The objects of a store that is a folder, as the files that they are: read without a detour."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from dask_knot.run.mapping import MAPPABLE, MAPPED_BYTES, PrivateMappings, file_system_of

#: So often a file is looked for that is moved just now.
LOOKS = 3


class ObjectFiles:
    """The files of a store. For several threads.

    Parameters
    ----------
    folder : Path
        The folder of the store.

    Attributes
    ----------
    mappings : PrivateMappings
        What of them is mapped.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mappings = PrivateMappings()
        self._is_mappable: dict[int, bool] = {}  # by the number of the device

    def path(self, name: str) -> str:
        """Give the path of an object.

        Raises
        ------
        ValueError
            If it would lie outside of the store.
        """
        if ".." in name.split("/") or name.startswith("/"):
            raise ValueError(f"{name!r} is no name of an object")
        return f"{self.folder}/{name}"

    def read_range(self, name: str, offset: int, length: int) -> memoryview | None:
        """Read a part of an object: a large one is mapped, and each time anew.

        Nobody sees what others change in theirs. None if the object is shorter.

        Raises
        ------
        OSError
            If it can't be read.
        """
        with self.open(name) as file:
            # Before it is mapped: whoever reads mapped pages that aren't there is killed.
            found = os.fstat(file.fileno())
            if found.st_size < offset + length:
                return None
            if length >= MAPPED_BYTES and self._may_map(name, found.st_dev):
                mapped = self.mappings.map(file.fileno(), offset, length)
                if mapped is not None:
                    return mapped
            return _read(file, offset, length)

    def open(self, name: str) -> FileIO:
        """Open an object for reading, be it that it is moved meanwhile (see `SharedMemory`)."""
        path = self.path(name)
        for _ in range(LOOKS):
            with suppress(FileNotFoundError):
                return FileIO(path)
            if not os.path.islink(path):
                break
        return FileIO(path)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, and folders that become empty; those that are gone don't matter.

        Raises
        ------
        OSError
            If one can't be removed.
        """
        for name in names:
            path = self.path(name)
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)
                self._remove_empty(os.path.dirname(name))

    def _remove_empty(self, folder: str) -> None:
        with suppress(OSError):  # somebody writes there, or removes it as well
            while folder:
                os.rmdir(self.path(folder))
                folder = os.path.dirname(folder)

    def clear(self, prefix: str) -> None:
        """Remove a folder of objects with all that killed processes have left half written."""
        shutil.rmtree(self.path(prefix), ignore_errors=True)

    def _may_map(self, name: str, device: int) -> bool:
        if device not in self._is_mappable:
            self._is_mappable[device] = file_system_of(self.path(name)) in MAPPABLE
        return self._is_mappable[device]


def _read(file: FileIO, offset: int, length: int) -> memoryview | None:
    """Read into memory that may be written to, so that nobody needs a copy for that."""
    view, done = memoryview(bytearray(length)), 0
    file.seek(offset)
    while done < length:
        count = file.readinto(view[done:])
        if not count:
            return None  # it was cut off just now
        done += count
    return view
