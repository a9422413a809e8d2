"""Two clients and more hold one run at the same time: each task runs once, and all get all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from dask_knot.tracking.recovery import KILLED_ALONE
from tests.end_to_end import joint_program, killed_program, several_program
from tests.end_to_end.joint_program import STEPS
from tests.end_to_end.test_killed_clients import WHOLE, Program

pytestmark = pytest.mark.timeout(300)

#: So many random moments; more of them by an environment variable.
MOMENTS = int(os.environ.get("KNOT_MOMENTS", "2"))
JOBS = 2
RESULT = f"{killed_program.result()}\n"
ONCE = Counter(list(killed_program.graph("", 0)))
JOINT = {**{f"{kind}-{n}": 1 for kind in ("first", "second") for n in range(STEPS)}, "last": 1}


def ended(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    with program:
        try:
            printed, errors = program.communicate(timeout=100)
        finally:
            program.kill()
    return program.returncode, printed, errors


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_each_task_runs_once(moment: int, tmp_path: Path) -> None:
    program, later = Program(tmp_path), random.Random(moment).uniform(0, WHOLE)
    first = program.start()
    time.sleep(later if moment else 0)  # at once, and at random moments of the other's
    second = program.start()
    assert ended(first) == ended(second) == (0, RESULT, "")
    assert program.ran() == ONCE


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_one_of_them_is_killed(moment: int, tmp_path: Path) -> None:
    program, seconds = Program(tmp_path), random.Random(moment).uniform(1.0, 2 * WHOLE)
    first, second = program.start(), program.start()
    time.sleep(seconds)
    killed, other = (first, second) if moment % 2 else (second, first)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert ended(other) == (0, RESULT, "")
    ran = program.ran()
    assert ran.keys() == ONCE.keys()
    assert (ran - ONCE).total() <= JOBS, ran  # what the killed one was at, and no more


def both(folder: Path, *programs: Sequence[str]) -> list[tuple[int, str, str]]:
    """Let two programs hold a run at the same time."""
    store = folder / "store"
    store.mkdir()
    command = [sys.executable, "-m", joint_program.__name__, store.as_uri(), str(folder)]
    started = [start([*command, *arguments]) for arguments in programs]
    return [ended(program) for program in started]


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program, and don't wait for it."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def ran(folder: Path) -> Counter[str]:
    return Counter((folder / "ran").read_text().split())


def test_a_task_that_raises_does_it_once_for_both(tmp_path: Path) -> None:
    assert both(tmp_path, ["raises"], ["raises"]) == [(0, "ValueError\n", "")] * 2
    assert ran(tmp_path) == JOINT


def test_a_task_that_kills_its_process_is_tried_for_both_as_for_one(tmp_path: Path) -> None:
    assert both(tmp_path, ["dies"], ["dies"]) == [(0, "KilledTaskError\n", "")] * 2
    assert ran(tmp_path) == {**JOINT, "last": 1 + KILLED_ALONE}


@pytest.mark.parametrize("way", ["cancels", "leaves"])
def test_one_goes_away_and_the_other_gets_all(way: str, tmp_path: Path) -> None:
    assert both(tmp_path, [way], ["returns"]) == [(0, f"{way}\n", ""), (0, f"{2 * STEPS}\n", "")]
    counted = ran(tmp_path)
    assert counted.keys() == JOINT.keys()
    # A step and the one behind it are a shard: one in each slot may have been cut off.
    assert (counted - Counter(JOINT)).total() <= 2 * JOBS


def test_one_ends_the_run_for_both(tmp_path: Path) -> None:
    assert both(tmp_path, ["ends"], ["stays"]) == [
        (0, "ends\n", ""),
        (0, "JobTerminatedError\n", ""),
    ]
    assert max(ran(tmp_path).values()) == 1


def test_clusters_of_other_sizes(tmp_path: Path) -> None:
    assert both(tmp_path, ["returns", "1"], ["returns", "3"]) == [(0, f"{2 * STEPS}\n", "")] * 2
    assert ran(tmp_path) == JOINT


def test_one_only_reads(tmp_path: Path) -> None:
    assert both(tmp_path, ["reads"], ["returns"]) == [(0, f"{2 * STEPS}\n", "")] * 2
    assert ran(tmp_path) == JOINT


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_several_ask_for_parts_of_a_graph_and_do_what_they_like(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    command = [sys.executable, "-m", several_program.__name__, tmp_path.as_uri(), str(seed)]
    programs = []
    for number in range(chance.randint(2, 4)):
        programs.append(start([*command, str(number)]))
        time.sleep(chance.choice([0, chance.uniform(0, 3)]))
    for code, printed, errors in map(ended, programs):
        assert code == -signal.SIGKILL or printed in ("right\n", "left\n"), errors
        assert errors == ""
