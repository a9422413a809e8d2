"""A knot in containers of the emulated AWS: its client goes, and another one has it all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dask_knot import Knot
from dask_knot.aws.session import AwsSession
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.runjobs import listed_jobs
from dask_knot.errors import EngineError
from dask_knot.run.store import Store
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import account, machine, settings

__all__ = ["account", "machine", "settings"]

pytestmark = pytest.mark.timeout(400)

SHORT, LONG = [8.0, 9.0], [600.0, 601.0]
#: What somebody else does with the knot, who has nothing but its name.
COLLEAGUE = """
import json
import dask
from dask_knot import Knot

with dask.config.set({"knot.build": {"packages": ["numpy"], "network": "host"}}):
    knot = Knot.open("nap", engine="aws", jobs=2, memory="400 MiB", progress=False)
short, long = knot.jobs
seen = {"values": short.result(150), "at first": [long.done, long.status["status"]]}
short, long = knot.jobs
seen["at last"] = [short.done, short.status["status"]]
seen["long"] = [long.done, long.status["status"]]
seen["ids"] = short.job_ids
seen["logs"] = "\\n".join(short.logs().values())
print(json.dumps(seen), flush=True)
knot.view_jobs(children=True)
knot.clobber(yes=True)
print(knot)
"""


def test_a_map_outlives_its_client_and_ends_with_its_knot(
    account: AwsSession, settings: dict[str, Any], tmp_path: Path
) -> None:
    def nap(seconds: float) -> float:
        print("asleep for", seconds, flush=True)
        time.sleep(seconds)
        return seconds

    batch = account.client("batch")
    (queue,) = [one["jobQueueName"] for one in batch.describe_job_queues()["jobQueues"]]
    knot = Knot("nap", nap, **settings, progress=False)
    assert knot.settings.store is not None
    store, folder = Store(knot.settings.store), knot.session.run.names.folder
    future = knot.map(SHORT)
    until(lambda: any(one.counts.get(JobStatus.RUNNING) for one in knot.session.jobs.values()), 120)
    later = knot.map(LONG)
    bill = knot.cost()
    knot.close()
    assert bill.seconds >= 0
    for one in (future, later):
        with pytest.raises(EngineError, match=r"Knot\.open\('nap'\)\.jobs has it"):
            one.result(0)
    assert any(not job.is_over for job in listed_jobs(batch, queue, "nap").values())

    command = [sys.executable, "-c", COLLEAGUE]
    told = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    first, *table, last = told.stdout.splitlines()
    seen = json.loads(first)
    assert seen["values"] == SHORT
    assert seen["at last"] == [True, "SUCCEEDED"]
    for done, status in (seen["at first"], seen["long"]):
        assert not done, seen
        assert status in ("PENDING", "RUNNING")
    assert seen["ids"]
    assert set(seen["ids"]) <= {one.id for one in listed_jobs(batch, queue, "nap").values()}
    assert all(f"asleep for {seconds}" in seen["logs"] for seconds in SHORT)
    assert table[0].split() == ["Job", "ID", "Name", "Status"]
    assert table[2].split()[1:] == ["nap-0", "SUCCEEDED"]
    of_long = next(n for n, line in enumerate(table) if "nap-1" in line)
    children = [line.split() for line in table[3:of_long]]
    assert {id.partition(":")[0] for id, _ in children} == set(seen["ids"])
    assert {state for _, state in children} == {"SUCCEEDED"}
    assert last.endswith("nap, aws, clobbered>")
    assert store.list(folder) == []
    until(lambda: all(one.is_over for one in listed_jobs(batch, queue, "nap").values()), 60)
