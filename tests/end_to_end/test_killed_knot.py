"""A knot whose client ends without closing it: what was done is there for the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from dask_knot import Knot
from dask_knot.errors import JobError
from tests.end_to_end.conftest import until

#: Forty of eighty items take their time: some are there when the client ends, others are not.
PROGRAM = """
import sys
from dask_knot import Knot
from tests.end_to_end.tasks import halve_slowly

knot = Knot("halves", halve_slowly, store=sys.argv[1], jobs=2, part_interval=0.1, progress=False)
future = knot.map(range(40))
future.result(60)
second = knot.map(range(80))
found = second.as_completed()
next(found)
print("there", flush=True)
if sys.argv[2] == "stays":
    sys.stdin.read()
"""


def begin(store: Path, what: str) -> subprocess.Popen[str]:
    """Start a client, and wait until it has some results."""
    command = [sys.executable, "-c", PROGRAM, str(store), what]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "there\n"
    return client


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def settings(store: Path) -> dict[str, Any]:
    return {"store": store, "jobs": 2, "progress": False}


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_the_maps_of_a_client_that_ended(tmp_path: Path, way: signal.Signals | None) -> None:
    client = begin(tmp_path, "stays" if way else "goes")
    with client:
        jobs = descendants(client) if way else []
        if way:
            client.send_signal(way)
        assert client.wait(60) == (-way if way else 0)
    until(lambda: not any(map(psutil.Process.is_running, jobs)))  # nothing stays behind
    with Knot.open("halves", **settings(tmp_path)) as knot:
        first, second = knot.jobs
        assert first.done
        assert first.status["status"] == "SUCCEEDED"
        assert first.result() == [number / 2 for number in range(40)]
        assert second.items == 80
        assert second.done
        assert second.status["status"] == "FAILED"
        with pytest.raises(JobError, match=r"of 80 items of halves-1 .* nothing computes the rest"):
            second.result()
        there = second.values()
        assert there
        assert all(value == number / 2 for number, value in there.items())
        # The function comes from the run; what is there isn't computed again.
        assert knot.map(range(80)).result(60) == [number / 2 for number in range(80)]
        first_plan = knot.session.first_number
        tallies = knot.session.progress.tallies().items()
        made = sum(tally.total.total() for id, tally in tallies if id.plan >= first_plan)
        assert made <= 80 - len({*range(40), *there})
