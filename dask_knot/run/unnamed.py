"""A file that has no name before it is whole, so that who is killed leaves nothing of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from dask_knot.run.sharedmemory import MARK, unique_number

#: So often a folder is made that others remove as soon as it is empty.
TRIES = 20
#: The system copies so many bytes between two looks at whether it is interrupted.
_AT_ONCE = 2**24
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
#: Opens a file without a name, where there are such.
_NO_NAME: int = getattr(os, "O_TMPFILE", 0)
#: How a system says that it makes no links: Android, some that are emulated, and what was mounted
#: anew since the file was opened.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
#: The name by which a process can give another one to a file that it has open.
_BY_NUMBER = "/proc/self/fd"


class UnnamedFile:
    """A file that is being written. For one thread at a time.

    Where there are no files without a name, it has one that listings leave out.

    Parameters
    ----------
    path : str
        A path beside which it is.
    makes_folders : bool
        Whether folders above it are made if they are missing.

    Raises
    ------
    OSError
        If it can't be made.
    """

    def __init__(self, path: str, makes_folders: bool = True) -> None:
        self._name = ""
        self._has_failed = False
        self._tries = TRIES if makes_folders else 0
        self._descriptor = in_folder(path, partial(self._open, path), self._tries)

    def _open(self, path: str) -> int:
        if _NO_NAME and os.path.isdir(_BY_NUMBER):
            with suppress(IsADirectoryError, PermissionError):
                return _open_unnamed(os.path.dirname(path))
        return self._open_named(path)

    def _open_named(self, path: str) -> int:
        name = _beside(path)
        found = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
        self._name = name
        return found

    def write(self, data: memoryview, offset: int) -> None:
        """Write bytes from some byte of the file on; may be called again if it fails."""
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        done = 0
        while done < data.nbytes:
            done += os.write(self._descriptor, data[done:])

    def copy(self, source: int, size: int, is_over: Callable[[], bool] = bool) -> None:
        """Write what stands in another file that is open; may be called again if it fails.

        Raises
        ------
        InterruptedError
            If it `is_over` meanwhile.
        """
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        done = 0
        while done < size:
            if is_over():
                raise InterruptedError(errno.EINTR, "nobody needs the copy any more")
            count = os.sendfile(self._descriptor, source, done, min(size - done, _AT_ONCE))
            if not count:
                raise OSError(errno.EIO, "it was cut off while it was copied")
            done += count

    def copy_of(self, size: int, path: str) -> UnnamedFile:
        """Make one elsewhere that has the same bytes, of which there are so many."""
        other = UnnamedFile(path)
        try:
            other.copy(self._descriptor, size)
        except BaseException:
            other.drop()
            raise
        return other

    def sync(self) -> None:
        """Wait until it is on the disk."""
        os.fsync(self._descriptor)

    def name(self, path: str) -> None:
        """Give it a name, and close it; what has that name is replaced.

        May be called again if it fails.

        Raises
        ------
        OSError
            If it can't be done.
        """
        if not self._name:
            try:
                if self._link(path):
                    self._close()
                    return
                name = _beside(path)
                self._link(name)
                self._name = name
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._copy_named(path)
        self._close()
        in_folder(path, partial(_rename, self._name, path), self._tries)
        self._name = ""

    def _link(self, path: str) -> bool:
        """Give it a name unless there is something of that name; tell whether it has it."""
        source = f"{_BY_NUMBER}/{self._descriptor}"
        # Python follows the link to the file only if it is told from where.
        link = partial(os.link, source, path, src_dir_fd=self._descriptor, follow_symlinks=True)
        try:
            in_folder(path, link, self._tries)
        except FileExistsError:
            return False
        return True

    def _copy_named(self, path: str) -> None:
        """Go on in a file that has a name."""
        before = self._descriptor
        self._descriptor = in_folder(path, partial(self._open_named, path), self._tries)
        try:
            self.copy(before, os.fstat(before).st_size)
        except BaseException:
            self.drop()
            self._descriptor = before
            raise
        os.close(before)

    def drop(self) -> None:
        """Let nothing of it stay; never raises, and does nothing once it has a name."""
        with suppress(OSError):
            self._close()
        if self._name:
            with suppress(OSError):
                os.unlink(self._name)
            self._name = ""

    def _close(self) -> None:
        """Close it: on a network this may be when it fails, and then there is nothing to name."""
        if self._has_failed:
            raise OSError(errno.EIO, "not all of it was written")
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._has_failed = True
            os.close(descriptor)
            self._has_failed = False


def _open_unnamed(folder: str) -> int:
    """Open a file without a name, if it can be given one later on.

    Raises
    ------
    PermissionError, IsADirectoryError
        If this file system has no such files; others as they come.
    """
    try:
        return os.open(folder, _FLAGS | _NO_NAME, 0o666)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise IsADirectoryError(error.errno, "there are no files without a name") from error
        raise


def _rename(name: str, path: str) -> None:
    try:
        os.replace(name, path)
    except FileNotFoundError:
        # On a network an answer may be lost, and the second try finds that the first one worked.
        if os.path.lexists(name) or not os.path.exists(path):
            raise


def in_folder(path: str, call: Callable[[], int | None], tries: int = TRIES) -> int:
    """Do something in the folder of a path, which is made before if it is missing."""
    for _ in range(tries):
        with suppress(FileNotFoundError):
            return call() or 0
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return call() or 0


def _beside(path: str) -> str:
    return f"{path}{MARK}{unique_number()}"
