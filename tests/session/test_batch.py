"""The Batch in virtual time keeps Batch's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dask_knot.run.store import Store
from dask_knot.session import virtual
from dask_knot.session.virtual import VirtualLoop
from tests.session.batch import VirtualBatch

BOOT = 60.0


class IdleBatch(VirtualBatch):
    """A Batch whose children read nothing and leave nothing: each takes 100 s for each number."""

    def take_up(self, url: str, index: int) -> tuple[float, Callable[[], object]]:
        return 100.0 * (index + 1), lambda: None

    def submit(self, size: int, **depends_on: Any) -> str:
        """Submit an array behind others: their ids, each with its type."""
        request: dict[str, Any] = {"arrayProperties": {"size": size}} if size > 1 else {}
        if depends_on:
            request["dependsOn"] = [depends_on]
        command = {"command": ["true"]}
        names = {"jobName": "n", "jobQueue": "q", "jobDefinition": "d"}
        answer = self.submit_job(**names, containerOverrides=command, **request)
        return str(answer["jobId"])

    def states(self, id: str) -> dict[str, int]:
        """Give the counts of an array's children that aren't 0."""
        (detail,) = self.describe_jobs(jobs=[id])["jobs"]
        summary = detail["arrayProperties"]["statusSummary"]
        return {status: count for status, count in summary.items() if count}


def drive(tmp_path: Path, main: Callable[[IdleBatch], Any]) -> None:
    """Run something with a Batch in virtual time."""

    async def run(loop: VirtualLoop) -> None:
        await main(IdleBatch(loop, Store(tmp_path.as_uri()), BOOT, lambda key: 0.0))

    virtual.run(run)


def test_each_waits_for_its_own_or_for_all(tmp_path: Path) -> None:
    async def main(batch: IdleBatch) -> None:
        first = batch.submit(2)
        each = batch.submit(2, jobId=first, type="N_TO_N")
        whole = batch.submit(2, jobId=first)
        await asyncio.sleep(BOOT + 110)
        assert batch.states(first) == {"SUCCEEDED": 1, "RUNNING": 1}
        assert batch.states(each) == {"PENDING": 1, "STARTING": 1}
        assert batch.states(whole) == {"PENDING": 2}
        await asyncio.sleep(1000)
        assert [batch.details[id]["status"] for id in (each, whole)] == ["SUCCEEDED"] * 2
        ends = sorted(batch.ends)
        assert ends == [
            *((160, first, 0), (260, first, 1)),
            *((320, each, 0), (420, whole, 0), (520, each, 1), (520, whole, 1)),
        ]

    drive(tmp_path, main)


def test_what_fails_fails_what_waits_for_it_but_no_sibling(tmp_path: Path) -> None:
    async def main(batch: IdleBatch) -> None:
        first = batch.submit(2)
        each = batch.submit(2, jobId=first, type="N_TO_N")
        alone = batch.submit(1, jobId=each)
        batch.failing[first, 0] = {"container": {"exitCode": 3}}
        await asyncio.sleep(BOOT + 110)
        assert batch.states(first) == {"FAILED": 1, "RUNNING": 1}
        assert batch.details[first]["status"] == "PENDING"
        assert batch.states(each) == {"FAILED": 1, "PENDING": 1}
        await asyncio.sleep(1000)
        assert batch.states(each) == {"FAILED": 1, "SUCCEEDED": 1}
        assert batch.details[alone]["status"] == "FAILED"
        reasons = [batch.details[id].get("statusReason") for id in (f"{each}:0", alone)]
        assert reasons == ["Dependent Job failed"] * 2
        listed = batch.list_jobs(arrayJobId=first, jobStatus="FAILED")["jobSummaryList"]
        assert [child["jobId"] for child in listed] == [f"{first}:0"]

    drive(tmp_path, main)
