"""Parts of files as memory, without a copy: private, so that whoever changes them changes no file.

Pages are read from what the kernel keeps of the file anyway, and copied only when they are written
to. The file may be removed meanwhile. It must not become shorter: what reads pages that are gone is
killed, by SIGBUS. Objects are never changed once they are there, and how long a file is is looked
at before it is mapped.

Python's own `mmap` keeps a file open for each mapping, before 3.13: a thousand values would be all.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

#: Smaller parts are read: that is as quick, and memory of their own.
MAPPED_BYTES = 512 * 2**10
#: So many mappings a process has at most, of all stores together, and no larger part of those that
#: the system allows: the others belong to its libraries, threads and large arrays.
MOST_MAPPINGS, _PART = 20_000, 3
#: Where Linux says how many it allows; by default 65,530.
_ALLOWED = "/proc/sys/vm/max_map_count"
#: File systems of which a file stays what it is as long as it is open. On those of a network it may
#: be removed, or cut off, by another machine, which is an error when it is read, and the end of
#: whoever has it mapped.
MAPPABLE = frozenset(
    {"apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "overlay"}
    | {"ramfs", "reiserfs", "tmpfs", "ufs", "xfs", "zfs"}
)
#: Where all mappings of this process begin.
_addresses: set[int] = set()


class PrivateMappings:
    """The parts of files that this process has mapped. For several threads.

    Each goes when nothing looks at it any more.

    Parameters
    ----------
    most : int, optional
        So many mappings this process may have, with those of others of this kind.
    """

    def __init__(self, most: int | None = None) -> None:
        self._live: dict[int, int] = {}  # bytes by address
        self._most = most_mappings() if most is None else most
        self._system = _system_calls()

    @property
    def nbytes(self) -> int:
        """Bytes that are mapped now."""
        return sum([*self._live.values()])

    def map(self, descriptor: int, offset: int, length: int) -> memoryview | None:
        """Map a part of a file that is known to have so many bytes.

        Returns
        -------
        memoryview or None
            Writable. None if the system maps no more: then it can be read as well.
        """
        if self._system is None or len(_addresses) >= self._most:
            return None
        before = offset % mmap.ALLOCATIONGRANULARITY
        size = before + length
        address = self._system.map(descriptor, offset - before, size)
        if address is None:
            return None
        self._live[address] = size
        _addresses.add(address)
        pages = (ctypes.c_char * size).from_address(address)
        weakref.finalize(pages, self._give_back, address, size).atexit = False
        return memoryview(pages).cast("B")[before:]

    def _give_back(self, address: int, size: int) -> None:
        assert self._system is not None
        # Before another thread may be given the same address.
        self._live.pop(address, None)
        _addresses.discard(address)
        self._system.unmap(address, size)


class _System:
    """The calls of the C library."""

    def __init__(self, library: Any) -> None:
        self._map = library.mmap
        self._map.restype = ctypes.c_void_p
        numbers = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
        self._map.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *numbers)
        self._unmap = library.munmap
        self._unmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        # What is never written to needs no room to be kept for its copies.
        self._flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)

    def map(self, descriptor: int, offset: int, size: int) -> int | None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        found = self._map(None, size, protection, self._flags, descriptor, offset)
        return None if found in (None, _FAILED) else int(found)

    def unmap(self, address: int, size: int) -> None:
        self._unmap(address, size)


_FAILED = ctypes.c_void_p(-1).value


def _system_calls() -> _System | None:
    if os.name != "posix" or ctypes.sizeof(ctypes.c_void_p) < 8:
        return None
    return _System(ctypes.CDLL(None))


def most_mappings(allowed: str | os.PathLike[str] = _ALLOWED) -> int:
    """Give how many mappings this process should have at most.

    Parameters
    ----------
    allowed : path, optional
        The file in which the system says how many it may have.
    """
    with suppress(OSError, ValueError), open(allowed) as file:
        return min(MOST_MAPPINGS, int(file.read()) // _PART)
    return MOST_MAPPINGS


def _mounts() -> list[tuple[str, str]]:
    return [(one.mountpoint, one.fstype) for one in psutil.disk_partitions(all=True)]


def file_system_of(
    path: str | os.PathLike[str], mounts: Callable[[], list[tuple[str, str]]] = _mounts
) -> str:
    """Name the kind of file system that a path is on; nothing if that can't be found out.

    Parameters
    ----------
    path : path
        Of a file or folder.
    mounts : callable, optional
        Gives where file systems are mounted, and of which kind each is, as this machine has them;
        of two at one place, the later one hides the other.
    """
    real = os.path.realpath(path)
    try:
        there = mounts()
    except (OSError, psutil.Error):
        return ""
    above = [(len(at), kind) for at, kind in there if _is_at(real, at)]
    return max(reversed(above), key=lambda one: one[0], default=(0, ""))[1]


def _is_at(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip(os.sep) + os.sep)
