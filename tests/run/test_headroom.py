"""The memory that there is: of a machine, and of control groups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.run.headroom import Headroom

MIB = 2**20
MEMINFO = "MemTotal:  8192 kB\nMemFree:  1024 kB\nMemAvailable:  4096 kB\nShmem:  512 kB\n"


def files(root: Path, **contents: str) -> Path:
    """Write the kernel's files below a folder; `__` stands for a slash."""
    for name, content in {"proc__meminfo": MEMINFO, **contents}.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def group(root: Path, folder: str, **contents: str) -> None:
    path = root / "sys/fs/cgroup" / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (path / name.replace("__", ".")).write_text(content)


def test_a_machine_without_groups(tmp_path: Path) -> None:
    headroom = Headroom(files(tmp_path))
    assert (headroom.total, headroom.available()) == (8 * MIB, 4 * MIB)


@pytest.mark.parametrize("place", ["jobs.slice/mine", "jobs.slice", ""])
def test_a_limit_of_version_2_wherever_it_is(tmp_path: Path, place: str) -> None:
    root = files(tmp_path, proc__self__cgroup="0::/jobs.slice/mine\n")
    group(root, "jobs.slice/mine", memory__max="max\n")
    stat = f"anon {MIB}\nactive_file {MIB}\ninactive_file 0\nshmem {MIB}\nslab_reclaimable 0\n"
    group(root, place, memory__max=f"{5 * MIB}\n", memory__current=f"{4 * MIB}", memory__stat=stat)
    headroom = Headroom(root)
    assert (headroom.total, headroom.available()) == (5 * MIB, 2 * MIB)
    group(root, place, memory__current=f"{7 * MIB}")
    assert headroom.available() == 0


def test_a_limit_of_version_1(tmp_path: Path) -> None:
    root = files(tmp_path, proc__self__cgroup="5:cpu:/\n4:memory:/docker/abc\n")
    stat = f"active_file 9\ntotal_active_file {MIB}\ntotal_inactive_file {MIB}\n"
    names = {"memory__limit_in_bytes": f"{6 * MIB}", "memory__usage_in_bytes": f"{5 * MIB}"}
    group(root, "memory", **names, memory__stat=stat)
    headroom = Headroom(root)
    assert (headroom.total, headroom.available()) == (6 * MIB, 3 * MIB)


@pytest.mark.parametrize(
    ("limit", "used", "swap"),
    [("max", 0, 3 * MIB), (2 * MIB, MIB, MIB), (0, 0, 0), (MIB, 2 * MIB, 0), (9 * MIB, 0, 3 * MIB)],
)
def test_swap_of_version_2(tmp_path: Path, limit: int | str, used: int, swap: int) -> None:
    root = files(
        tmp_path, proc__self__cgroup="0::/\n", proc__meminfo=f"{MEMINFO}SwapFree:  3072 kB\n"
    )
    group(root, "", memory__max=f"{MIB}", memory__swap__max=f"{limit}")
    group(root, "", memory__swap__current=f"{used}")
    assert Headroom(root).swap() == swap


def test_swap_of_version_1_is_counted_with_memory(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        proc__self__cgroup="4:memory:/\n",
        proc__meminfo=f"{MEMINFO}SwapFree:  9999 kB\n",
    )
    group(root, "memory", memory__limit_in_bytes=f"{4 * MIB}", memory__usage_in_bytes=f"{3 * MIB}")
    assert Headroom(root).swap() == 9999 * 1024  # a kernel that doesn't count it
    names = {"memory__memsw__limit_in_bytes": f"{8 * MIB}"}
    group(root, "memory", **names, memory__memsw__usage_in_bytes=f"{4 * MIB}")
    assert Headroom(root).swap() == 3 * MIB
    group(root, "memory", memory__memsw__limit_in_bytes=str(2**63 - 4096))
    assert Headroom(root).swap() == 9999 * 1024


def test_a_limit_that_is_none(tmp_path: Path) -> None:
    root = files(tmp_path, proc__self__cgroup="4:memory:/\n")
    group(root, "memory", memory__limit_in_bytes=str(2**63 - 4096))
    assert Headroom(root).total == 8 * MIB


def test_a_limit_that_goes_counts_no_more(tmp_path: Path) -> None:
    root = files(tmp_path, proc__self__cgroup="0::/\n")
    group(root, "", memory__max=f"{MIB}", memory__current="0", memory__stat="")
    headroom = Headroom(root)
    assert headroom.available() == MIB
    group(root, "", memory__max="max")
    assert headroom.available() == 4 * MIB


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    headroom = Headroom(tmp_path)
    assert (headroom.total, headroom.available(), headroom.swap()) == (0, 0, 0)
