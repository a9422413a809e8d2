"""The order of starts: nobody starves."""

from __future__ import annotations

from dask_knot.batch.rules import JobStatus, RetryStrategy
from dask_knot.local.capacity import Capacity, Ledger
from dask_knot.local.jobs import Job, Submission
from dask_knot.local.lanes import PATIENCE, RunQueue

SMALL, LARGE, HUGE = Capacity(1, 1), Capacity(4, 1), Capacity(9, 1)


def jobs(name: str, count: int, needs: Capacity = SMALL) -> list[Job]:
    submission = Submission(
        job_id=name,
        name=name,
        queue="queue",
        definition_arn="arn",
        definition_name="work",
        image="",
        command=(),
        environment={},
        needs=needs,
        retry=RetryStrategy(),
        created_at=0,
    )
    found = [Job(submission, index) for index in range(count)]
    for job in found:
        job.move(JobStatus.RUNNABLE)
    return found


def queue_of(*groups: list[Job]) -> RunQueue:
    queue = RunQueue()
    for group in groups:
        for job in group:
            queue.push(job)
    return queue


def names(queue: RunQueue, ledger: Ledger, count: int) -> list[str]:
    taken = [queue.take(ledger) for _ in range(count)]
    return [job.submission.name for job in taken if job is not None]


def test_a_small_array_behind_a_large_one_gets_its_turn() -> None:
    queue = queue_of(jobs("large", 100), jobs("small", 2))
    assert names(queue, Ledger(Capacity(1, 1)), 5) == ["large", "small", "large", "small", "large"]


def test_children_of_an_array_start_in_order() -> None:
    queue = queue_of(jobs("array", 5))
    taken = [queue.take(Ledger(Capacity(1, 1))) for _ in range(5)]
    assert [job.index for job in taken if job] == [0, 1, 2, 3, 4]


def test_what_was_cancelled_is_left_out() -> None:
    array = jobs("array", 3)
    array[0].end(JobStatus.FAILED, None, 0)
    taken = queue_of(array).take(Ledger(Capacity(1, 1)))
    assert taken is array[1]


def test_a_large_job_is_passed_over_only_so_often() -> None:
    queue = queue_of(jobs("large", 1, LARGE), jobs("small", 2 * PATIENCE))
    ledger = Ledger(Capacity(4, 4))
    ledger.take(SMALL)
    assert names(queue, ledger, 2 * PATIENCE) == ["small"] * PATIENCE
    ledger.give_back(SMALL, ())
    assert names(queue, ledger, 1) == ["large"]
    assert names(queue, ledger, 1) == ["small"]


def test_a_job_that_never_fits_holds_nobody_back() -> None:
    queue = queue_of(jobs("huge", 1, HUGE), jobs("small", 2 * PATIENCE))
    ledger = Ledger(Capacity(4, 4))
    assert names(queue, ledger, 2 * PATIENCE + 1) == ["small"] * 2 * PATIENCE
    ledger.total = Capacity(9, 9)
    assert names(queue, ledger, 1) == ["huge"]
