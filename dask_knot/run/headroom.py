"""The memory that there is to be had on this machine, or in the container that this runs in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_KIB = 1024
#: A limit of so many bytes is none: version 1 of control groups has no word for that.
_NO_LIMIT = 1 << 60
#: Files of version 1 that count memory and swap together.
_WITH_MEMORY = "memory.memsw."


class _Group(NamedTuple):
    """A control group that has a limit: its folder, and the files in it by what they hold."""

    folder: Path
    limit: str
    usage: str
    #: What the kernel keeps of files, and would give back.
    cached: re.Pattern[str]
    swap_limit: str
    swap_usage: str


_KINDS = (
    (
        "",
        "",
        "memory.max",
        "memory.current",
        r"(?:in)?active_file|slab_reclaimable",
        "memory.swap.max",
        "memory.swap.current",
    ),
    (
        "memory",
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        r"total_(?:in)?active_file",
        _WITH_MEMORY + "limit_in_bytes",
        _WITH_MEMORY + "usage_in_bytes",
    ),
)


class Headroom:
    """Tells how much memory may be taken.

    Parameters
    ----------
    root : Path
        Where the kernel's files are.

    Attributes
    ----------
    total : int
        Bytes that there are altogether: of the machine, or up to the lowest limit of a control
        group. 0 if the system doesn't tell.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._meminfo = root / "proc/meminfo"
        self._groups: list[_Group] = []
        limits = []
        with suppress(OSError, ValueError):
            for group in _groups(root):
                if (limit := _number(group.folder / group.limit)) is not None:
                    self._groups.append(group)
                    limits.append(limit)
        self.total = min([self._of_machine("MemTotal"), *limits])

    def available(self) -> int:
        """Give the bytes that may be taken without anything being moved out or killed for them.

        What the kernel keeps of files counts as free, what lies in shared memory doesn't. 0 if the
        system doesn't tell.
        """
        found = [self._of_machine("MemAvailable")]
        for group in self._groups:
            limit = _number(group.folder / group.limit)
            if limit is not None:
                found.append(limit - _used(group))
        return max(0, min(found))

    def swap(self) -> int:
        """Give the bytes that others, or this process, may still move out to make room."""
        found = [self._of_machine("SwapFree")]
        found += [room for group in self._groups if (room := _swap_of(group)) is not None]
        return max(0, min(found))

    def _of_machine(self, name: str) -> int:
        with suppress(OSError):
            match = re.search(rf"^{name}:\s*(\d+) kB", self._meminfo.read_text(), re.MULTILINE)
            return int(match[1]) * _KIB if match else 0
        return 0


def _used(group: _Group) -> int:
    with suppress(OSError, ValueError):
        lines = (group.folder / "memory.stat").read_text().splitlines()
        pairs = (line.split() for line in lines)
        cached = sum(int(value) for name, value in pairs if group.cached.fullmatch(name))
        return max(0, int((group.folder / group.usage).read_text()) - cached)
    return 0


def _swap_of(group: _Group) -> int | None:
    """Give the bytes of swap that a group may still take; None if it has no limit of it."""
    limit, used = (_number(group.folder / name) for name in (group.swap_limit, group.swap_usage))
    if limit is None or used is None:
        return None
    if group.swap_limit.startswith(_WITH_MEMORY):
        limit -= _number(group.folder / group.limit) or 0
        used -= _number(group.folder / group.usage) or 0
    return limit - used


def _number(file: Path) -> int | None:
    """Read a number of bytes; None if there is no such file, or no limit in it."""
    with suppress(OSError, ValueError):
        found = int(file.read_text())
        return found if found < _NO_LIMIT else None
    return None


def _groups(root: Path) -> Iterator[_Group]:
    """Name the groups that this process is in, the narrowest one first, and those above it.

    A container may see its group under the name that it has outside, but mounted as the root.
    """
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name, mount, limit, usage, cached, *swap in _KINDS:
            if name not in controllers.split(","):
                continue
            top = root / "sys/fs/cgroup" / mount
            folders = [top / path.strip("/"), *(top / path.strip("/")).parents]
            for folder in folders[: folders.index(top) + 1]:
                yield _Group(folder, limit, usage, re.compile(cached), *swap)
