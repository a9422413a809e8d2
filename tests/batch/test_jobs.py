"""Jobs are added, forgotten and looked at by threads of their own, all at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from dask_knot.batch.service import REMEMBERED, JobService, JobTemplate
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import StageId
from tests.local.recording import RecordingBatch

STAGE = Stage((Shard((1,), (), (1,), (), 1.0),), Resources(1, 2**20))


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    """Let threads take turns much more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def service() -> JobService:
    found = JobService(RecordingBatch(), JobTemplate("n", "q", "i"), lambda *_: ())
    for number in range(REMEMBERED):
        found.submit(StageId(number, 0), STAGE, "s3://b/run/packs/1-1")
    return found


def test_old_jobs_are_forgotten_while_new_ones_come(service: JobService) -> None:
    """`dictionary changed size during iteration` ended all that waited, after 1,000 jobs."""
    count, errors = 100, list[BaseException]()
    is_over = threading.Event()

    def submit() -> None:
        for number in range(count):
            service.submit(StageId(REMEMBERED + number, 0), STAGE, "s3://b/run/packs/1-1")
        is_over.set()

    def watch() -> None:
        try:
            while not is_over.is_set():
                service.prune(())
                service.is_job("job-1")
                jobs = service.jobs
                assert sum(job.size for job in jobs.values()) == len(jobs)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for call in (submit, watch, watch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    service.prune(())
    newest = range(count, REMEMBERED + count)
    assert [id.plan for id in service.jobs] == list(newest)  # none that came meanwhile is lost


def test_what_a_reader_holds_stays_as_it_is(service: JobService) -> None:
    seen = service.jobs
    before = list(seen)
    service.submit(StageId(REMEMBERED, 0), STAGE, "s3://b/run/packs/1-1")
    service.prune(())
    assert list(seen) == before
    with pytest.raises(TypeError):
        seen[StageId(0, 0)] = seen[StageId(1, 0)]  # type: ignore[index]
