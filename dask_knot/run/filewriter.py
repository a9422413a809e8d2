"""An object that is being written into a folder: a file that gets its name when it is whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import FileIO
from typing import Any

from dask_knot.run.codec import Bytes

#: So often a folder is made anew at most: whoever deletes its last object deletes it, too.
TRIES = 10
_numbers = itertools.count()


class FileWriter:
    """Writes a file beside its place, under a name that no listing has (`NAME#DIGITS`).

    Parameters
    ----------
    path : str
        Where it will be.
    ask : callable
        Calls something for as long as it may work a moment later.
    note : callable
        Is told the bytes of the object when it is there.
    """

    def __init__(
        self,
        path: str,
        ask: Callable[[Callable[[], Any]], Any],
        note: Callable[[int], object],
    ) -> None:
        self._path = path
        self._ask = ask
        self._note = note
        self._size = 0
        self._file: FileIO | None = None

    @property
    def size(self) -> int:
        """Give the bytes that were written so far."""
        return self._size

    def write(self, data: Bytes) -> None:
        """Append bytes; where there is no room for all of them, what has found room stays."""
        view = memoryview(data).cast("B")
        while view.nbytes:
            written = self._ask(partial(self._write, view))
            self._size += written
            view = view[written:]

    def commit(self) -> None:
        """Give the file its name."""
        self._ask(self._appear)
        self._note(self._size)

    def abort(self) -> None:
        """Remove the file."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                os.unlink(str(file.name))

    def _write(self, view: memoryview) -> int:
        file = self._opened()
        file.seek(self._size)  # whatever a try before this one has written behind
        return file.write(view)

    def _appear(self) -> bool:
        file = self._opened()
        try:
            os.replace(str(file.name), self._path)
        except FileNotFoundError as error:
            raise OSError(f"what was written of {self._path} is gone") from error
        self._file = None
        file.close()
        return True

    def _opened(self) -> FileIO:
        if self._file is None:
            self._file = _open_beside(self._path)
        return self._file


def _open_beside(path: str) -> FileIO:
    folder = os.path.dirname(path)
    for _ in range(TRIES):
        os.makedirs(folder, exist_ok=True)
        with suppress(FileExistsError, FileNotFoundError):
            return FileIO(f"{path}#{os.getpid()}{next(_numbers):06}", "x")
    raise OSError(f"no file can be made in {folder}: somebody removes that folder all the time")
