"""What tasks take: the kernel's mark is set back between them, where that can be done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.job import usage
from dask_knot.job.peak import PeakMemory
from dask_knot.job.usage import Usage
from dask_knot.run.manifest import Work

MIB = 2**20


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the window after each task, however short."""
    monkeypatch.setattr(usage, "WINDOW", 0.0)


def hold(mebibytes: int) -> None:
    """Have so much memory for a moment."""
    assert bytearray(mebibytes * MIB)


@pytest.mark.skipif(sys.platform != "linux", reason="others can't set the mark back")
def test_each_task_has_its_own_peak() -> None:
    used = Usage(PeakMemory())
    large, small = Work(), Work()
    hold(200)
    used.note(large, 1.0)
    hold(20)
    used.note(small, 1.0)
    assert used.reserved > MIB
    assert large.peak > used.reserved + 150 * MIB
    assert small.peak < large.peak - 100 * MIB


def test_the_peak_of_the_job_is_that_before_the_mark_was_set_back() -> None:
    peak = PeakMemory()
    used = Usage(peak)
    hold(100)
    used.note(Work(), 1.0)
    assert peak.read() > used.reserved + 80 * MIB


class Kernel:
    """A process whose memory is what a test says."""

    def __init__(self, can_forget: bool) -> None:
        self.now = 100
        self._can_forget = can_forget
        self.forgotten = 0

    def mark(self) -> int:
        return self.now

    def shared(self) -> int:
        return 0

    def set_back(self, mark: int) -> bool:
        self.forgotten += self._can_forget
        return self._can_forget


@pytest.mark.parametrize(
    ("marks", "peaks"), [([300, 300], [300, 0]), ([100, 200], [0, 200]), ([200, 250], [200, 250])]
)
def test_without_the_kernel_only_a_mark_that_has_risen_says_anything(
    marks: list[int], peaks: list[int]
) -> None:
    kernel = Kernel(can_forget=False)
    used = Usage(kernel)  # type: ignore[arg-type]
    found = []
    for mark in marks:
        kernel.now = mark
        work = Work()
        used.note(work, 1.0)
        found.append(work.peak)
    assert found == peaks


def test_tasks_that_run_at_once_share_the_mark() -> None:
    kernel = Kernel(can_forget=True)
    used = Usage(kernel)  # type: ignore[arg-type]
    used.is_alone = False
    forgotten, work = kernel.forgotten, Work()
    kernel.now = 500
    used.note(work, 1.0)
    assert work.peak == 500
    assert kernel.forgotten == forgotten


def test_nothing_is_known_of_other_processes() -> None:
    used = Usage(PeakMemory())
    used.is_alone = used.is_here = False
    work = Work()
    used.note(work, 1.0)
    assert (work.peak, work.cpu) == (0, 0.0)


def test_a_program_that_a_task_runs_counts() -> None:
    used, work = Usage(PeakMemory()), Work()
    subprocess.run([sys.executable, "-c", f"len(bytearray({60 * MIB}))"], check=True)
    used.note(work, 1.0)
    assert work.peak > used.reserved + 60 * MIB


def test_processor_time_is_shared_out_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "WINDOW", 60.0)
    used, long, short = Usage(PeakMemory()), Work(), Work()
    sum(range(300_000))
    used.note(long, 3.0)
    used.note(short, 1.0)
    assert long.cpu == 0.0
    used.close_window()
    assert long.cpu > 0.0
    assert long.cpu == pytest.approx(3 * short.cpu)


def test_what_is_shared_counts_by_the_share(tmp_path: Path) -> None:
    assert PeakMemory(tmp_path).shared() == 0
    path = tmp_path / "proc/self/smaps_rollup"
    path.parent.mkdir(parents=True)
    path.write_text("00-ff ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nPss:  300 kB\n")
    assert PeakMemory(tmp_path).shared() == 600 * 1024


def test_a_container_that_may_not_forget(tmp_path: Path) -> None:
    assert not PeakMemory(tmp_path).set_back(5)
    assert PeakMemory(tmp_path).read() >= 5
