"""Jobs keep memory that was freed for their next tasks, within bounds."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping

import pytest

from dask_knot.job.heap import FITS, KEPT_BYTES, PART, keep_freed

MIB = 2**20


class Library:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, name: int, value: int) -> int:
        self.asked.append((name, value))
        return 1


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(0, KEPT_BYTES), (64 * 2**30, KEPT_BYTES), (512 * MIB, 512 * MIB // PART)],
)
def test_a_small_part_of_the_memory_is_kept(limit: int, kept: int) -> None:
    library = Library()
    assert keep_freed(limit, {}, library) == kept
    assert library.asked == [(-3, kept // FITS), (-1, kept)]


@pytest.mark.parametrize(
    "environment",
    [{"MALLOC_TRIM_THRESHOLD_": "65536"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}],
    ids=["variable", "tunables"],
)
def test_what_the_user_has_set_stays(environment: Mapping[str, str]) -> None:
    library = Library()
    assert keep_freed(0, environment, library) == 0
    assert library.asked == []


TURNS = """
import resource
from dask_knot.job.heap import keep_freed
if {keeps}:
    keep_freed(0)
for _ in range(10):
    if _ == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    some = [b"x" * (30 * 2**20) for _ in range(3)]
    del some
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is a setting of glibc")
def test_the_next_arrays_lie_where_those_before_were() -> None:
    pages = 5 * 90 * MIB // 4096
    assert faults(keeps=True) < pages // 10 < faults(keeps=False)


def faults(keeps: bool) -> int:
    command = [sys.executable, "-c", TURNS.format(keeps=keeps)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)
