"""The objects of a store that is a folder, as the files that they are: read without a detour."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from dask_knot.run.mapping import MAPPABLE, MAPPED_BYTES, PrivateMappings, file_system_of
from dask_knot.run.sharedmemory import MARK, SharedMemory, unique_number
from dask_knot.run.unnamed import UnnamedFile, in_folder

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
    memory : SharedMemory or None
        Where values may be instead.
    mappings : PrivateMappings
        What of them is mapped.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = SharedMemory.of(folder)
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
            raise ValueError(f"{name!r} is not an object name")
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
            # The file goes before the link to it, by which it is found again if that fails; what
            # was moved into the folder just now is in the place of the link.
            if target := self.target(name):
                self.drop(target)
            with suppress(FileNotFoundError):
                os.unlink(self.path(name))
            self.remove_empty(name)

    def has_room(self, size: int) -> bool:
        """Tell whether there is room in memory for so many bytes more."""
        return self.memory is not None and self.memory.lack(size) <= 0

    def target(self, name: str) -> str:
        """Give the path of the file in memory that holds an object; nothing if none does."""
        if self.memory is None:
            return ""
        with suppress(OSError):  # it isn't there, or no link
            target = os.readlink(self.path(name))
            return target if self.memory.holds(target) else ""
        return ""

    def link(self, name: str, target: str) -> None:
        """Let a file in memory be an object."""
        path = self.path(name)
        try:
            in_folder(path, lambda: os.symlink(target, path))
        except FileExistsError:
            beside = f"{path}{MARK}{unique_number()}"
            in_folder(path, lambda: os.symlink(target, beside))
            os.replace(beside, path)

    def drop(self, target: str) -> bool:
        """Remove a file in memory; tell whether it was there."""
        with suppress(FileNotFoundError):
            os.unlink(target)
            return True
        return False

    def move(self, name: str, target: str, is_over: Callable[[], bool] = bool) -> bool:
        """Move an object from memory into the folder; tell whether it was to be moved.

        Parameters
        ----------
        name, target : str
            The object; its file in memory.
        is_over : callable, optional
            Whether to stop.

        Raises
        ------
        OSError
            If that isn't possible.
        """
        if self.target(name) != target:  # it is being written yet, or deleted, or was replaced
            return False
        path = self.path(name)
        with FileIO(target) as source:
            copy = UnnamedFile(path)
            try:
                copy.copy(source.fileno(), os.fstat(source.fileno()).st_size, is_over)
                copy.sync()  # or it would take as much memory as before
                if self.target(name) != target:
                    return False
                copy.name(path)
            finally:
                copy.drop()
                self.remove_empty(name)
        if not self.drop(target):
            # It was deleted just now, and must not be there again.
            with suppress(FileNotFoundError):
                os.unlink(path)
            self.remove_empty(name)
        return True

    def remove_empty(self, name: str) -> None:
        """Remove the folders above an object that are empty; never raises."""
        folder = os.path.dirname(name)
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
