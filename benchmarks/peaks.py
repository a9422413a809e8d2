"""The most memory that a case took: watched by a process of its own, beside what is timed.

Pages that several processes have mapped are shared out among them (the kernel's "proportional set
size"), so that they count once; memory that belongs to no process, as files in `/dev/shm`, is
counted for the whole machine and not for whoever has mapped it. The three numbers can be added.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import psutil

#: A look at a process of 2 GB takes the kernel 2 to 10 ms.
PERIOD = 0.05
FIELD = re.compile(r"^(Pss|Pss_Shmem|Shmem): +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Peaks:
    """Bytes: of the client, of its jobs or workers, and of what they share outside of both."""

    client: int = 0
    jobs: int = 0
    shared: int = 0

    def above(self, start: Peaks) -> Peaks:
        return Peaks(*(a - b for a, b in zip(astuple(self), astuple(start), strict=True)))

    def or_more(self, other: Peaks) -> Peaks:
        return Peaks(*map(max, astuple(self), astuple(other)))


class Watch:
    """The process that watches this one and all that it has started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self) -> None:
        """Take what there is now as the start of a case."""
        self._ask("begin")

    def end(self) -> Peaks:
        """Give the peaks since then, above that start."""
        return Peaks(**self._ask("end"))

    def _ask(self, what: str) -> dict[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def watching() -> Iterator[Watch]:
    """Have this process and its children watched."""
    command = [sys.executable, "-m", "benchmarks.peaks", str(os.getpid())]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Watch(process)


def main(client: int) -> None:
    """Answer each line of standard input until it ends; look around in between."""
    start = peak = now(client)
    while True:
        asked, _, _ = select.select([sys.stdin], [], [], PERIOD)
        line = sys.stdin.readline() if asked else ""
        if asked and not line:
            return
        if line.strip() == "begin":
            wait_for_releases()
        found = now(client)
        if line.strip() == "begin":
            start = peak = found
        peak = peak.or_more(found)
        if line:
            print(json.dumps(asdict(peak.above(start))), flush=True)


def wait_for_releases(longest: float = 5.0) -> None:
    """Let go what the case before has left: its peak would be the start of this one."""
    end = time.monotonic() + longest
    before = shared()
    while time.monotonic() < end:
        time.sleep(4 * PERIOD)
        if (left := shared()) >= before:
            return
        before = left


def now(client: int) -> Peaks:
    """Measure the client, all below it, and the machine."""
    others = [
        process.pid
        for process in psutil.Process(client).children(recursive=True)
        if process.pid != os.getpid()
    ]
    return Peaks(own(client), sum(map(own, others)), shared())


def own(pid: int) -> int:
    """Measure a process without what is in shared memory; one that has ended has none."""
    try:
        found = values(Path(f"/proc/{pid}/smaps_rollup"))
    except ProcessLookupError:
        return 0
    except OSError:
        return without_proc(pid)
    return found.get("Pss", 0) - found.get("Pss_Shmem", 0)


def without_proc(pid: int) -> int:
    """Measure a process where the kernel doesn't tell of it in files."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


def shared() -> int:
    """Measure what is in shared memory, files in `/dev/shm` among it."""
    path = Path("/proc/meminfo")
    return values(path).get("Shmem", 0) if path.exists() else 0


def values(path: Path) -> dict[str, int]:
    """Read the fields that are of interest, in bytes."""
    return {name: int(kilobytes) * 1024 for name, kilobytes in FIELD.findall(path.read_text())}


if __name__ == "__main__":
    main(int(sys.argv[1]))
