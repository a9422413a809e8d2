"""The doorbell of a run whose store is a folder: it rings when a manifest has appeared.

Whoever waits for manifests needn't ask the disk again and again then. It rings on Linux only, and
not for what other machines write into a network disk: so who waits asks now and then all the same.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from dask_knot.run.folder import folder_of

#: From inotify(7).
_MOVED_TO, _CREATED, _OVERFLOW, _IGNORED = 0x80, 0x100, 0x4000, 0x8000
_ONLY_FOLDERS, _IS_FOLDER = 0x1000000, 0x40000000
_EVENT = struct.Struct("iIII")
#: A folder that is being written has such names in it (obstore's, and ours).
_UNFINISHED = "#"
#: Folders that are listened at, at once: the kernel has some thousands for all programs of a user.
MOST = 256


class Doorbell:
    """Rings when a file appears in one of the folders below a folder; for several threads.

    Parameters
    ----------
    folder : Path
        What comes into its subfolders counts, not what is below these. It is made if need be.

    Attributes
    ----------
    descriptor : int
        Can be read when there is something to `hear`.

    Raises
    ------
    OSError
        If the system has none.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()  # a descriptor that is closed may soon be another file's
        self._folder = folder
        self._names: dict[int, str] = {}  # by the number of the watch, the oldest first
        self._known: set[str] = set()
        self._is_closed = False
        self._add = _function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self._remove = _function("inotify_rm_watch", ctypes.c_int, ctypes.c_int)
        begin = _function("inotify_init1", ctypes.c_int)
        self.descriptor = _checked(begin(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            self._hang_up()
        except OSError:
            os.close(self.descriptor)
            raise

    def attend(self, names: Iterable[str]) -> None:
        """Listen at subfolders that may have been there before; those that come are known."""
        with self._lock:
            for name in names:
                if name not in self._known and not self._is_closed:
                    self._listen_at(name)

    def hear(self) -> bool:
        """Tell whether it has rung since it was last heard."""
        with self._lock:
            return not self._is_closed and self._hear()

    def close(self) -> None:
        """Be silent from now on; it may be called twice."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self.descriptor)
                with suppress(OSError):
                    self._hook.rmdir()

    def _hang_up(self) -> None:
        """Listen at the folder; it stays though it be empty, while another one is in it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hook = Path(mkdtemp(prefix=f"bell{_UNFINISHED}", dir=self._folder))
        self._top = self._watch(self._folder)

    def _hear(self) -> bool:
        has_rung = False
        for watch, mask, name in self._events():
            if mask & _OVERFLOW:
                has_rung = True
            elif mask & _IGNORED:  # the folder is gone
                self._known.discard(self._names.pop(watch, ""))
                # Of the whole run, perhaps, which has ended: it is not made anew.
                has_rung |= watch == self._top
            elif watch != self._top:
                has_rung |= _UNFINISHED not in name
            elif mask & _IS_FOLDER and name not in self._known and _UNFINISHED not in name:
                # What came before we listen there has made no sound.
                has_rung |= self._listen_at(name) and self._has_any(name)
        return has_rung

    def _events(self) -> Iterator[tuple[int, int, str]]:
        with suppress(BlockingIOError):
            data = os.read(self.descriptor, 1 << 16)
            place = 0
            while place < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, place)
                place += _EVENT.size + length
                yield watch, mask, os.fsdecode(data[place - length : place].rstrip(b"\0"))

    def _listen_at(self, name: str) -> bool:
        if len(self._names) >= MOST:
            oldest = next(iter(self._names))
            self._known.discard(self._names.pop(oldest))
            self._remove(self.descriptor, oldest)
        with suppress(OSError):  # it isn't there yet, or any more; or there are too many
            self._names[self._watch(self._folder / name)] = name
            self._known.add(name)
            return True
        return False

    def _has_any(self, name: str) -> bool:
        with suppress(OSError):
            return any(_UNFINISHED not in each for each in os.listdir(self._folder / name))
        return False

    def _watch(self, folder: Path) -> int:
        mask = _CREATED | _MOVED_TO | _ONLY_FOLDERS
        return _checked(self._add(self.descriptor, os.fsencode(folder), mask))


def open_doorbell(folder: Path) -> Doorbell | None:
    """Give the doorbell of a folder; None if the system has none, or no more."""
    if sys.platform != "linux":
        return None
    with suppress(OSError, AttributeError):
        return Doorbell(folder)
    return None


def doorbell_of(store_url: str, folder: str) -> Doorbell | None:
    """Give the doorbell of a folder of a store; None if it has none, or is away."""
    root = folder_of(store_url)
    return open_doorbell(root / folder) if root is not None and os.path.isdir(root) else None


def _function(name: str, *types: type) -> Callable[..., int]:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.argtypes = types
    found: Callable[..., int] = function
    return found


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
