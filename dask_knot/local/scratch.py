"""A temporary folder that goes with its process, or is removed by the next one that makes such."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "dask-knot-"
_LOCK = "lock"


class Scratch:
    """A folder for as long as its process lives, which holds a lock in it.

    A process that is killed can't remove anything, so whoever makes a new folder removes those
    whose locks nobody holds.

    Parameters
    ----------
    parent : Path, optional
        In which folder; that for temporary files, if none is given.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        with suppress(OSError):
            _remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Nobody may find the lock before it is held.
        early = self.path / f"{_LOCK}.new"
        self._lock = os.open(early, os.O_RDWR | os.O_CREAT, 0o600)
        _is_mine(self._lock)
        early.rename(self.path / _LOCK)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # another user's, or removed meanwhile
            descriptor = os.open(lock, os.O_RDWR)
            try:
                if _is_mine(descriptor):
                    shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)


def _is_mine(descriptor: int) -> bool:
    """Take a lock, and tell whether nobody else holds it; where there are none, somebody may."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
