"""The table of jobs: what follows when one ends, and what is forgotten."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dask_knot.batch.rules import (
    DEPENDENCY_FAILED,
    JobStatus,
    RetryStrategy,
    Wait,
    status_behind,
    upstream,
)
from dask_knot.local.capacity import Capacity
from dask_knot.local.jobgraph import JobGraph
from dask_knot.local.jobs import AnyJob, ArrayJob, Job, Submission, members

S = JobStatus


def submission(name: str, size: int | None = None, *after: dict[str, Any]) -> Submission:
    return Submission(
        job_id=name,
        name=name,
        queue="queue",
        definition_arn="arn",
        definition_name="work",
        image="",
        command=(),
        environment={},
        needs=Capacity(1, 1),
        retry=RetryStrategy(),
        created_at=0,
        size=size,
        depends_on=after,
    )


def succeed(table: JobGraph, job: Job) -> None:
    job.begin_attempt()
    job.begin_running(1)
    table.end([job], S.SUCCEEDED, None, 2)


def states(node: AnyJob) -> list[JobStatus]:
    return [job.status for job in members(node)]


def test_an_array_waits_for_the_whole_upstream_array() -> None:
    table = JobGraph()
    up = table.add(submission("up", 2), 0)
    down = table.add(submission("down", 3, {"jobId": "up"}), 0)
    succeed(table, members(up)[0])
    assert states(down) == [S.PENDING] * 3
    succeed(table, members(up)[1])
    assert states(down) == [S.RUNNABLE] * 3
    assert [job.job_id for job in table.runnable][2:] == ["down:0", "down:1", "down:2"]


def test_n_to_n_pairs_the_children() -> None:
    table = JobGraph()
    up = table.add(submission("up", 3), 0)
    down = table.add(submission("down", 3, {"jobId": "up", "type": "N_TO_N"}), 0)
    succeed(table, members(up)[1])
    table.end([members(up)[2]], S.FAILED, "x", 1)
    assert states(down) == [S.PENDING, S.RUNNABLE, S.FAILED]
    assert members(down)[2].status_reason == DEPENDENCY_FAILED


def test_a_job_can_wait_for_several_kinds_at_once() -> None:
    table = JobGraph()
    one, two = table.add(submission("one"), 0), table.add(submission("two", 2), 0)
    after = ({"jobId": "one"}, {"jobId": "two", "type": "N_TO_N"}, {"type": "SEQUENTIAL"})
    down = table.add(submission("down", 2, *after), 0)
    for job in members(two):
        succeed(table, job)
    assert states(down) == [S.PENDING] * 2
    succeed(table, members(one)[0])
    assert states(down) == [S.RUNNABLE, S.PENDING]
    succeed(table, members(down)[0])
    assert states(down) == [S.SUCCEEDED, S.RUNNABLE]


def test_what_depends_on_a_failed_job_fails_at_once() -> None:
    table = JobGraph()
    up = table.add(submission("up"), 0)
    table.end(members(up), S.FAILED, "x", 1)
    down = table.add(submission("down", 2, {"jobId": "up"}), 2)
    assert states(down) == [S.FAILED] * 2
    assert down.status is S.FAILED


def test_what_depends_on_a_job_that_succeeded_is_runnable_at_once() -> None:
    table = JobGraph()
    up = table.add(submission("up", 2), 0)
    for job in members(up):
        succeed(table, job)
    down = table.add(submission("down", 2, {"jobId": "up", "type": "N_TO_N"}), 2)
    assert states(down) == [S.RUNNABLE] * 2


def test_a_sequential_array_of_ten_thousand_fails_without_a_deep_stack() -> None:
    table = JobGraph()
    array = table.add(submission("array", 10_000, {"type": "SEQUENTIAL"}), 0)
    after = table.add(submission("after", None, {"jobId": "array"}), 0)
    table.end([members(array)[0]], S.FAILED, "x", 1)
    assert isinstance(array, ArrayJob)
    assert array.counts[S.FAILED] == 10_000
    assert after.status is S.FAILED


def test_counts_are_what_the_children_say() -> None:
    table = JobGraph()
    array = table.add(submission("array", 4), 0)
    succeed(table, members(array)[0])
    members(array)[1].begin_attempt()
    table.end([members(array)[2]], S.FAILED, "x", 1)
    assert isinstance(array, ArrayJob)
    assert {s: n for s, n in array.counts.items() if n} == {
        S.SUCCEEDED: 1,
        S.STARTING: 1,
        S.FAILED: 1,
        S.RUNNABLE: 1,
    }


def test_the_oldest_of_what_has_ended_is_forgotten() -> None:
    table = JobGraph(keep=5)
    open_job = table.add(submission("open"), 0)
    for number in range(4):
        array = table.add(submission(f"array{number}", 2), 0)
        for job in members(array):
            succeed(table, job)
    assert table.find("array0") is None
    assert table.find("array1:0") is None
    assert table.find("array2:1") is not None
    assert table.find("open") is open_job


def test_an_array_larger_than_what_is_kept_is_known_until_the_next_ends() -> None:
    table = JobGraph(keep=1)
    array = table.add(submission("array", 3), 0)
    for job in members(array):
        succeed(table, job)
    assert table.find("array") is array


def test_only_ids_of_children_that_exist_are_found() -> None:
    table = JobGraph()
    table.add(submission("array", 2), 0)
    table.add(submission("job"), 0)
    assert table.find("arn:aws:batch:local:0:job/array:1") is not None
    for wrong in ("array:2", "array:-1", "array:x", "job:0", "nobody", ""):
        assert table.find(wrong) is None


@st.composite
def submissions(draw: st.DrawFn) -> list[Submission]:
    """Draw jobs and arrays that depend on earlier ones in every way that Batch allows."""
    made: list[Submission] = []
    for number in range(draw(st.integers(1, 5))):
        size = draw(st.sampled_from([None, 2, 3]))
        after: list[dict[str, Any]] = []
        for one in draw(st.lists(st.sampled_from(made), max_size=2) if made else st.just([])):
            is_paired = size is not None and size == one.size and draw(st.booleans())
            after.append({"jobId": one.job_id} | ({"type": "N_TO_N"} if is_paired else {}))
        if size is not None and draw(st.booleans()):
            after.append({"type": "SEQUENTIAL"})
        made.append(submission(f"job{number}", size, *after))
    return made


def expected(table: JobGraph, node: AnyJob, index: int) -> JobStatus:
    """Ask the rules how a child stands that has not been touched itself."""
    awaited = []
    for dependency in node.submission.depends_on:
        wait = Wait(dependency.get("type"))
        whole = node if wait is Wait.SEQUENTIAL else table.find(dependency["jobId"])
        assert whole is not None
        if (one := upstream(wait, index, whole, members(whole))) is not None:
            awaited.append(one.status)
    return status_behind(awaited)


@given(submissions(), st.data())
def test_every_job_stands_as_the_rules_say(wanted: list[Submission], data: st.DataObject) -> None:
    """The links between jobs save work: after any events they agree with the rules."""
    table, touched, nodes = JobGraph(), set[Job](), list[AnyJob]()
    ends = st.sampled_from([S.SUCCEEDED, S.SUCCEEDED, S.FAILED])
    while wanted or table.runnable:
        if wanted and (not table.runnable or data.draw(st.booleans())):
            nodes.append(table.add(wanted.pop(0), 0))
        else:
            job = table.runnable.popleft()
            touched.add(job)
            job.begin_attempt()
            job.begin_running(1)
            table.end([job], data.draw(ends), None, 2)
        for node in nodes:
            for index, job in enumerate(members(node)):
                assert job in touched or job.status is expected(table, node, index)
    assert not table.unfinished()
