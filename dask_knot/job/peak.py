"""The peak memory of a job, as the system has measured it.

In a container of its own that is the peak of its control group: all processes, and what the kernel
keeps of files that they read, as far as there was room. Elsewhere it is that of the job's process,
or of the largest process that it has waited for: several at once aren't added up. What it has
mapped of files since it began isn't its own: values of a store are read so, in shared memory, too.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import psutil

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

_KIB = 1024
#: What the kernel takes it by that the high-water mark of a process is to be that of now.
_FORGET = "5"
#: A container with more processes isn't looked at: its first process is hardly a job.
_MOST_PROCESSES = 100


class PeakMemory:
    """Reads the peak memory of this process' job.

    Parameters
    ----------
    root : Path
        Where the kernel's files are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._file = _own_group(root)
        self._before = 0  # the highest mark that was set back
        self._mapped = _sizes(root).get("RssFile", 0) + _sizes(root).get("RssShmem", 0)

    def read(self) -> int:
        """Give the bytes that the job has had at most so far."""
        if self._file is not None:
            with suppress(OSError, ValueError):
                return int(self._file.read_text())
        return max(self._before, self.mark(), of_children())

    def mark(self) -> int:
        """Give the bytes that this process has had at most since the mark was set back.

        Without files that are mapped now: a task's inputs still are when it has just ended.
        """
        sizes = _sizes(self._root)
        if "VmHWM" in sizes:
            mapped = sizes.get("RssFile", 0) + sizes.get("RssShmem", 0) - self._mapped
            return sizes["VmHWM"] - max(0, mapped)
        return _of_this_process()

    def shared(self) -> int:
        """Give the bytes that this process has in common with others, by its share of them.

        Jobs of one machine share the pages of the server that forked them, until they are written
        to: a limit there counts each page once.
        """
        with suppress(OSError):
            text = (self._root / "proc/self/smaps_rollup").read_text()
            found = dict(re.findall(r"^(Rss|Pss):\s*(\d+) kB", text, re.MULTILINE))
            return max(0, int(found.get("Rss", 0)) - int(found.get("Pss", 0))) * _KIB
        return 0

    def set_back(self, mark: int) -> bool:
        """Let the kernel forget what this process has had so far, if it can; tell whether it has.

        Parameters
        ----------
        mark : int
            What it has had.
        """
        self._before = max(self._before, mark)
        try:
            (self._root / "proc/self/clear_refs").write_text(_FORGET)
        except OSError:  # no Linux, or a container that may not
            return False
        return True


def _sizes(root: Path) -> dict[str, int]:
    """Read the bytes of each kind that this process has, or has had; nothing without Linux."""
    with suppress(OSError):
        text = (root / "proc/self/status").read_text()
        return {
            n: int(kib) * _KIB for n, kib in re.findall(r"^(\w+):\s*(\d+) kB", text, re.MULTILINE)
        }
    return {}


def _of_this_process() -> int:
    """Give the peak where the system has no files of it.

    On Linux `ru_maxrss` would have that of who started this process as well.
    """
    if resource is not None:
        return _in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))


def of_children() -> int:
    """Give the bytes of the largest process that this one has waited for."""
    if resource is None:
        return 0
    return _in_bytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _in_bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else maxrss * _KIB


def _own_group(root: Path) -> Path | None:
    """Find the file that has the peak of this job's control group, if it has one for itself."""
    with suppress(OSError, ValueError):
        for folder, name in _groups(root):
            if (folder / name).exists() and _is_alone(root, folder):
                return folder / name
    return None


def _groups(root: Path) -> Iterator[tuple[Path, str]]:
    """Name the groups that this process may be in: those of version 2, then those of version 1.

    A container may see its group under the name that it has outside, but mounted as the root.
    """
    mount = root / "sys/fs/cgroup"
    kinds = {"": (mount, "memory.peak"), "memory": (mount / "memory", "memory.max_usage_in_bytes")}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in kinds:
            folder, name = kinds[controllers]
            yield folder / path.strip("/"), name
            yield folder, name


def _is_alone(root: Path, group: Path) -> bool:
    """Tell whether all processes of a group are of this job, but for a container's init."""
    members = [int(line) for line in (group / "cgroup.procs").read_text().split()]
    own = os.getpid()
    if own not in members or len(members) > _MOST_PROCESSES:
        return False
    return all(pid in (1, own) or own in _ancestors(root, pid) for pid in members)


def _ancestors(root: Path, pid: int) -> Iterator[int]:
    """Name the parent of a process, its parent, and so on; 0 is of another container."""
    while pid:
        text = (root / f"proc/{pid}/status").read_text()
        found = re.search(r"^PPid:\s*(\d+)", text, re.MULTILINE)
        pid = int(found[1]) if found else 0
        yield pid
