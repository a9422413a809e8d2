"""Runs one suite on one cluster in a process of its own, to the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conformance.differences import Outcome
from tests.conformance.suites import Suite

HERE = Path(__file__).parent
#: Seconds without an outcome after which a process hangs: a test has 300, and its cluster to open.
SILENCE = 480


def run(suite: Suite, peer: str, every: int, folder: Path) -> dict[str, Outcome]:
    """Run a suite, again without the culprit if a test ends the process or hangs it.

    Parameters
    ----------
    suite : Suite
    peer : str
        Name of the cluster: ``knot`` or ``local``.
    every : int
        One test of this many is run.
    folder : Path
        For the outcomes and what pytest prints.

    Returns
    -------
    dict of str to Outcome
        By the names of the tests.
    """
    outcomes = folder / f"{suite.name}-{peer}.jsonl"
    printed = folder / f"{suite.name}-{peer}.txt"
    outcomes.touch()
    command = [
        *(sys.executable, "-m", "pytest", "-p", "tests.conformance.plugin"),
        *("-c", str(HERE / "pytest.ini"), "--rootdir", str(suite.root)),
        *("--peer", peer, "--every", str(every), "--outcomes", str(outcomes)),
        *map(str, suite.files),
    ]
    begun = -1
    while begun < len(read(outcomes)):  # each round is one test further, at least
        begun = len(read(outcomes))
        with printed.open("ab") as file:
            if pytest_ended(command, file.fileno(), outcomes):
                return read(outcomes)
    last = "\n".join(printed.read_text().splitlines()[-20:])
    return {**read(outcomes), suite.name: Outcome("failed", f"pytest itself failed:\n{last}")}


def pytest_ended(command: list[str], printed: int, outcomes: Path) -> bool:
    """Run pytest and say whether it came to its own end; a process that hangs is killed."""
    project = HERE.parent.parent
    process = subprocess.Popen(
        command, stdout=printed, stderr=printed, cwd=project, start_new_session=True
    )
    try:
        size = -1
        while size < outcomes.stat().st_size:
            size = outcomes.stat().st_size
            try:
                # 0: all passed, 1: some failed, 5: there was nothing to run.
                return process.wait(SILENCE) in (0, 1, 5)
            except subprocess.TimeoutExpired:
                continue
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read(outcomes: Path) -> dict[str, Outcome]:
    """Read what a run has written so far: the last line of a test counts, a failure always."""
    found: dict[str, Outcome] = {}
    for line in outcomes.read_text().splitlines():
        entry = json.loads(line)
        before = found.get(entry["test"])
        if before is None or before.outcome != "failed":
            found[entry["test"]] = Outcome(entry["outcome"], entry["why"])
    return found
