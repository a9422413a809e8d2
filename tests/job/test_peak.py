"""The peak memory of a job, from files as kernels have them, and of processes that are real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.job.peak import PeakMemory

ME = os.getpid()
MIB = 2**20
SECOND, FIRST = "memory.peak", "memory/memory.max_usage_in_bytes"


def kernel(root: Path, lines: str, group: str, members: str, parents: dict[int, int]) -> Path:
    """Write the files of a kernel: which group we are in, who else is, and who started whom."""
    files = {
        "proc/self/cgroup": lines,
        "proc/self/status": "Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n",
        f"sys/fs/cgroup/{group}": "123456789\n",
        f"sys/fs/cgroup/{Path(group).parent}/cgroup.procs": members,
        **{f"proc/{pid}/status": f"PPid:\t{parent}\n" for pid, parent in parents.items()},
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("lines", "group"),
    [
        ("0::/\n", SECOND),
        ("0::/ecs/abc\n", "ecs/abc/memory.peak"),
        ("0::/../../docker/abc\n", SECOND),
        ("9:name=systemd:/x\n4:memory:/docker/abc\n0::/\n", FIRST),
        ("4:memory:/docker/abc\n", "memory/docker/abc/memory.max_usage_in_bytes"),
    ],
)
@pytest.mark.parametrize(
    ("members", "parents"),
    [
        ([ME], {}),
        ([1, ME], {1: 0}),
        ([1, ME, ME + 1, ME + 2], {ME + 1: ME, ME + 2: ME + 1}),
    ],
)
def test_a_container_has_a_peak_of_its_own(
    lines: str, group: str, members: list[int], parents: dict[int, int], tmp_path: Path
) -> None:
    text = "\n".join(map(str, members))
    assert PeakMemory(kernel(tmp_path, lines, group, text, parents)).read() == 123456789


@pytest.mark.parametrize(
    ("members", "parents"),
    [
        ([], {}),
        ([0, ME], {}),  # of another container
        ([1, 7, ME], {7: 1}),
        ([ME, ME + 1], {ME + 1: 7, 7: 1, 1: 0}),
        ([ME, ME + 1], {}),  # it has ended
        ([ME, *range(ME + 1, ME + 200)], dict.fromkeys(range(ME + 1, ME + 200), ME)),
    ],
)
def test_a_group_with_others_in_it_is_not_that_of_the_job(
    members: list[int], parents: dict[int, int], tmp_path: Path
) -> None:
    text = "\n".join(map(str, members))
    found = PeakMemory(kernel(tmp_path, "0::/\n", SECOND, text, parents)).read()
    assert found >= 2 * MIB
    assert found != 123456789


@pytest.mark.parametrize("text", ["", "max\n"])
def test_a_peak_that_cannot_be_read_is_that_of_the_process(text: str, tmp_path: Path) -> None:
    peak = PeakMemory(kernel(tmp_path, "0::/\n", SECOND, str(ME), {}))
    (tmp_path / "sys/fs/cgroup/memory.peak").write_text(text)
    assert 2 * MIB <= peak.read() != 123456789


def test_without_files_of_a_kernel_the_process_is_asked(tmp_path: Path) -> None:
    assert MIB < PeakMemory(tmp_path).read() < 2**50


PROGRAM = """
import os, sys
from pathlib import Path
from dask_knot.job.peak import PeakMemory
def of_a_child(use=0):
    ends = os.pipe()
    pid = os.fork()
    if not pid:
        block = bytearray(b"x") * use
        os.write(ends[1], b"%d" % PeakMemory(root).read())
        os._exit(0)
    os.waitpid(pid, 0)
    return int(os.read(ends[0], 100))
root = Path(sys.argv[1])
start = PeakMemory(root).read()
block = bytearray(b"x") * (200 << 20)
high = PeakMemory(root).read()
shared = of_a_child()
del block
after, alone, large = PeakMemory(root).read(), of_a_child(), of_a_child(400 << 20)
print(start, high, shared, after, alone, large, PeakMemory(root).read())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="as Linux counts what is forked")
def test_a_forked_process_begins_with_what_its_parent_has_not_with_its_peak() -> None:
    """The local engine forks jobs of a small process: what that has is all that they inherit."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "/"], capture_output=True, text=True, check=True
    )
    start, high, shared, after, alone, large, end = map(int, run.stdout.split())
    block = 200 * MIB
    assert high - start > 0.9 * block
    assert shared > 0.9 * block  # pages that parent and child share count for both
    assert after > 0.9 * high  # the kernel counts in bundles of pages
    assert alone < start + block / 2
    assert large > 1.8 * block
    assert end > 0.9 * large  # it has waited for the child
