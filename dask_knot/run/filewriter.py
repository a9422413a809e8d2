"""Writes an object of a store that is a folder: in shared memory if there is room, or there."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from dask_knot.run.codec import Bytes
from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.unnamed import UnnamedFile

#: Memory is asked for so many bytes ahead, so that it isn't asked with each value.
AHEAD = 16 * 2**20
#: How a file system in memory says that it has no room, or isn't there any more.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.ENOENT, errno.EACCES, errno.EROFS)


class FileWriter:
    """An object that is being written: see `Writer`.

    Parameters
    ----------
    files : ObjectFiles
        The files of the store.
    name : str
        The name of the object.
    ask : callable
        Calls something for as long as it may work a moment later.
    note : callable
        Is told the bytes of the object when it is there.
    """

    def __init__(
        self,
        files: ObjectFiles,
        name: str,
        ask: Callable[[Callable[[], bool]], bool],
        note: Callable[[int], object],
    ) -> None:
        self._files, self._name, self._ask, self._note = files, name, ask, note
        self._file: UnnamedFile | None = None
        self._target = ""  # its path in memory, if it is there
        self._is_named = False
        self._granted = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Give the bytes that were written so far."""
        return self._size

    def write(self, data: Bytes) -> None:
        """Append bytes, which may change afterwards."""
        view = memoryview(data).cast("B")
        self._ask(partial(self._write, view))
        self._size += view.nbytes

    def commit(self) -> None:
        """Let the object appear under its name."""
        self._ask(self._appear)
        self._note(self._size)

    def abort(self) -> None:
        """Let nothing stay; does nothing after `commit`."""
        if self._file is not None:
            self._file.drop()
            self._file = None
            with suppress(OSError):
                if self._is_named:
                    self._files.drop(self._target)
            self._files.remove_empty(self._name)

    def _write(self, view: memoryview) -> bool:
        file = self._opened()
        if self._target and self._size + view.nbytes > self._granted:
            if not self._files.has_room(AHEAD + view.nbytes):
                file = self._move()
            self._granted = self._size + view.nbytes + AHEAD
        try:
            file.write(view, self._size)
        except OSError as error:
            if not self._target or error.errno not in _NO_ROOM:
                raise
            self._move().write(view, self._size)
        return True

    def _opened(self) -> UnnamedFile:
        if self._file is None:
            self._file = self._in_memory() or UnnamedFile(self._files.path(self._name))
        return self._file

    def _in_memory(self) -> UnnamedFile | None:
        """Begin a file in memory if there is room for more than a little."""
        memory = self._files.memory
        if memory is None or not self._files.has_room(AHEAD):
            return None
        target = memory.new_file(self._name)
        try:
            file = UnnamedFile(target, makes_folders=False)
        except OSError:  # it is full, or somebody has removed it
            return None
        self._target = target
        return file

    def _move(self) -> UnnamedFile:
        """Go on in the folder."""
        assert self._file is not None
        file = self._file.copy_of(self._size, self._files.path(self._name))
        self._file.drop()
        self._file, self._target = file, ""
        return file

    def _appear(self) -> bool:
        """Give the file its name; may be called again if that fails."""
        file = self._opened()
        before = self._files.target(self._name)
        if self._target and not self._is_named:
            try:
                file.name(self._target)
                self._is_named = True
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                file = self._move()
        if self._target:
            self._files.link(self._name, self._target)
        else:
            file.name(self._files.path(self._name))
        self._file = None
        if before:
            with suppress(OSError):  # the object is there: nothing may be written once more
                self._files.drop(before)
        return True
