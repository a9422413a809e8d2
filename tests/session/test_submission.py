"""A plan becomes one pack and one request a stage, and children find what they read."""

from __future__ import annotations

import operator
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from dask._task_spec import DataNode, Task, TaskRef

from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.errors import (
    InternalError,
    JobMemoryError,
    MissingObjectError,
    ReadOnlyStoreError,
    StoreError,
    SubmissionError,
)
from dask_knot.graphs.constants import LARGE, Constants
from dask_knot.planning import (
    Dependency,
    Limits,
    Plan,
    PlanRequest,
    Resources,
    Shard,
    Stage,
)
from dask_knot.run import codec, work
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId, parse_pack
from dask_knot.run.orders import Orders
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import ConstantPlace, Options, ShardOutput, ShardWork
from dask_knot.session.bundles import JobBundle
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.constants import StoredConstants
from dask_knot.session.hooks import nobody
from dask_knot.session.outages import Endurance
from dask_knot.session.recorder import Recorder
from dask_knot.session.submission import Submitter
from dask_knot.tracking.actions import MakePlan, SubmitPlan
from dask_knot.tracking.events import SubmissionFailed
from tests.local.recording import RecordingBatch

TASKS: dict[Any, Any] = {
    "literal": DataNode("literal", 5),
    "a": Task("a", operator.neg, TaskRef("literal")),
    "b": Task("b", operator.neg, TaskRef("outside")),
    "c": Task("c", operator.add, TaskRef("a"), TaskRef("b")),
}
NEEDS = Resources(1, 2**20)
A = Shard(("a",), (), ("a",), ("literal",), 1.0)
B = Shard(("b",), ("outside",), ("b",), (), 1.0)
C = Shard(("c",), ("a", "b"), ("c",), (), 1.0)
PLAN = Plan((Stage((A, B), NEEDS), Stage((C,), NEEDS, (Dependency(0),))))


class BrokenStore(Store):
    """A store that can't be written."""

    def put(self, name: str, data: object) -> None:
        raise StoreError("the disk is full")


@pytest.fixture
def client() -> RecordingBatch:
    return RecordingBatch()


@pytest.fixture
def submitter(client: RecordingBatch) -> Submitter:
    service = JobService(client, JobTemplate("n", "q", "i"), lambda *_: ())
    return make(Store("memory://"), service)


def make(store: Store, service: JobService) -> Submitter:
    run = Run(store, "run")
    return Submitter(
        run, service, Options(cores=3), StoredConstants(run), Endurance(Clockwork(), nobody)
    )


def submitted(submitter: Submitter, **changes: Any) -> list[SubmissionFailed]:
    """Submit the plan as number 7."""
    facts = {"inputs": {"outside": Place("x", 1, 2)}, "plan": PLAN, "tasks": TASKS} | changes
    return list(submitter.submit(SubmitPlan(7, **facts)))


def written(submitter: Submitter, stage: int, index: int) -> ShardWork:
    """Read a shard of plan 7."""
    shard = ShardId(StageId(7, stage), index)
    return work.decode(submitter.run.read_shard(shard).frames)


def test_a_stage_is_one_pack_and_one_request(submitter: Submitter, client: RecordingBatch) -> None:
    assert submitted(submitter) == []
    assert submitter.run.traffic()[0] == {"put": 2}
    first, second = client.requests("SubmitJob")
    assert first["arrayProperties"] == {"size": 2}
    assert second["dependsOn"] == [{"jobId": "job-1"}]
    urls = [request["containerOverrides"]["command"][-1] for request in (first, second)]
    assert [parse_pack(url) for url in urls] == [
        ("memory://", "run", StageId(7, stage)) for stage in (0, 1)
    ]


class _Looks:
    """Modules of the user's own, which are looked at."""

    count = 0

    def look(self) -> None:
        """Count the look; there are none."""
        self.count += 1


def test_the_users_own_modules_are_looked_at_once_a_plan(submitter: Submitter) -> None:
    looks: Any = _Looks()
    submitted(replace(submitter, bundle=JobBundle(looks)))
    assert looks.count == 1


def test_children_get_what_they_need_and_no_more(submitter: Submitter) -> None:
    submitted(submitter)
    first, second, last = (written(submitter, *at) for at in [(0, 0), (0, 1), (1, 0)])
    assert [node.key for node in first.tasks] == ["a"]
    assert [node.key for node in first.literals] == ["literal"]
    assert (first.inputs, first.outputs) == ({}, ("a",))
    assert second.inputs == {"outside": Place("x", 1, 2)}
    made = {key: ShardOutput(ShardId(StageId(7, 0), n), 0) for n, key in enumerate("ab")}
    assert last.inputs == made
    assert {work.options for work in (first, second, last)} == {Options(cores=3)}


def test_a_large_literal_is_read_as_an_input(submitter: Submitter) -> None:
    large = Constants().take(bytes(LARGE))
    assert large is not None
    submitted(submitter, tasks=TASKS | {"literal": large})
    first = written(submitter, 0, 0)
    assert first.literals == []
    name = submitter.run.names.constants(StageId(7, 0))
    kept = first.inputs["literal"]
    assert isinstance(kept, ConstantPlace)
    assert kept.place.name == name
    assert kept.is_fixed
    assert codec.decode(submitter.run.read_value(kept.place)) == bytes(LARGE)
    packs = [submitter.run.names.pack(StageId(7, 0))]
    assert submitter.release(packs) == [*packs, name]


def test_an_input_may_be_on_its_way_or_lost(submitter: Submitter) -> None:
    shard = ShardId(StageId(2, 1), 5)
    submitted(submitter, inputs={"outside": (shard, 4)})
    assert written(submitter, 0, 1).inputs == {"outside": ShardOutput(shard, 4)}
    submitted(submitter, inputs={"outside": JobMemoryError("too much", "job-9")})
    failure = written(submitter, 0, 1).inputs["outside"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.load(), JobMemoryError)
    assert failure.key == "outside"


@pytest.mark.parametrize(
    ("error", "withdrawn"),
    [
        (StoreError("odd"), {0: "", 1: ""}),
        (ReadOnlyStoreError("no"), {}),
        (ValueError("ours"), {0: "", 1: ""}),
    ],
)
def test_a_plan_that_may_be_recorded_and_is_not_submitted_is_withdrawn(
    client: RecordingBatch, error: Exception, withdrawn: dict[int, str]
) -> None:
    class Doubtful(Recorder):
        def record(self, action: MakePlan, plan: Plan) -> Any:
            raise error

    service = JobService(client, JobTemplate("n", "q", "i"), lambda *_: ())
    submitter = make(Store("memory://"), service)
    archive = submitter.run.record
    archive.found(RunInfo(0.0, "me", "aws", "1"))
    submitter = replace(submitter, recorder=Doubtful(archive, lambda: 0.0, 0))
    with pytest.raises(type(error)):
        submitter.record(MakePlan(7, PlanRequest({}, (), Limits(slots=1))), PLAN)
    assert archive.read_jobs(7) == withdrawn


def test_what_cannot_be_pickled_does_not_keep_the_others(submitter: Submitter) -> None:
    locked = Task("b", partial(operator.add, threading.Lock()), TaskRef("outside"))
    assert submitted(submitter, tasks=TASKS | {"b": locked}) == []
    with pytest.raises(TypeError, match="'b' can't be sent to a job"):
        written(submitter, 0, 1).tasks[0]({})
    assert written(submitter, 0, 0).tasks[0]({"literal": 5}) == -5


def test_a_refused_stage_and_those_behind_it_fail(
    submitter: Submitter, client: RecordingBatch
) -> None:
    client.refusal = ClientError({"Error": {"Code": "x", "Message": "no"}}, "SubmitJob")
    failed = submitted(submitter)
    assert [event.stage for event in failed] == [StageId(7, 0), StageId(7, 1)]
    assert all(isinstance(event.error, SubmissionError) for event in failed)
    assert "depends on" in str(failed[1].error)


def test_a_store_that_cannot_be_written_fails_the_stages(
    submitter: Submitter, client: RecordingBatch
) -> None:
    broken = make(BrokenStore("memory://"), submitter.service)
    failed = submitted(broken)
    assert [event.stage for event in failed] == [StageId(7, 0), StageId(7, 1)]
    assert {str(event.error) for event in failed} == {"the disk is full"}
    assert client.requests("SubmitJob") == []


def test_a_mistake_of_ours_ends_its_stage_and_what_depends_on_it(
    submitter: Submitter, client: RecordingBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_small(id: StageId, constants: Any) -> Any:
        if id.stage == 1:
            raise ZeroDivisionError("in our own code")
        return {}

    monkeypatch.setattr(submitter.constants, "put", put_small)
    (failed,) = submitted(submitter)
    assert failed.stage == StageId(7, 1)
    assert isinstance(failed.error, InternalError)
    assert "ZeroDivisionError" in str(failed.error)
    assert len(client.requests("SubmitJob")) == 1


class Company:
    """Says how many other sessions are there."""

    def __init__(self, others: list[int]) -> None:
        self.found = others

    def others(self) -> list[int]:
        """Number them."""
        return self.found


STAGE = StageId(7, 0)


def in_company(submitter: Submitter, *others: int) -> Submitter:
    """Let a submitter be one of a named run with other sessions."""
    company: Any = Company([*others])
    recorder: Any = object()
    return replace(submitter, neighbors=company, recorder=recorder)


@pytest.mark.parametrize(
    ("others", "unneeded"), [((), {1}), ((2,), set())], ids=["alone", "in company"]
)
def test_children_that_others_may_need_are_not_ended(
    submitter: Submitter, others: tuple[int, ...], unneeded: set[int]
) -> None:
    submitter = in_company(submitter, *others)
    submitter.tell_children(STAGE, Orders(frozenset({1}), frozenset({0})))
    assert submitter.run.read_orders(STAGE) == Orders(frozenset(unneeded), frozenset({0}))


def test_what_others_have_asked_is_asked_still(submitter: Submitter) -> None:
    others = Orders(frozenset({2}), frozenset({0, 2}))
    submitter.run.tell_orders(STAGE, others)
    in_company(submitter).tell_children(STAGE, Orders(asked=frozenset({1})))
    assert submitter.run.read_orders(STAGE) == Orders(asked=frozenset({0, 1, 2}))


def test_children_that_are_told_nothing_need_no_object(submitter: Submitter) -> None:
    submitter.tell_children(STAGE, Orders())
    with pytest.raises(MissingObjectError):
        submitter.run.read_orders(STAGE)


def test_a_child_that_was_overtaken_is_told_to_end(submitter: Submitter) -> None:
    submitter.note_overtaken(ShardId(STAGE, 1))
    submitter.tell_children(STAGE, Orders(asked=frozenset({0})))
    assert submitter.run.read_orders(STAGE) == Orders(frozenset({1}), frozenset({0}))


def test_a_twin_starts_from_the_pack_of_its_stage_and_ends_with_its_shard(
    submitter: Submitter, client: RecordingBatch
) -> None:
    submitted(submitter)
    submitter.start_twin(ShardId(STAGE, 1))
    *_, twin = client.requests("SubmitJob")
    url = submitter.run.url_of(STAGE)
    assert twin["containerOverrides"]["command"][-3:] == [url, "--child", "1"]
    submitter.end_twin(ShardId(STAGE, 1))
    assert [request["jobId"] for request in client.requests("TerminateJob")] == ["job-3"]


def test_a_twin_that_is_refused_is_no_matter(submitter: Submitter, client: RecordingBatch) -> None:
    submitted(submitter)
    client.refusal = ClientError({"Error": {"Code": "no"}}, "SubmitJob")
    submitter.start_twin(ShardId(STAGE, 1))
    submitter.end_twin(ShardId(STAGE, 1))
    assert client.requests("TerminateJob") == []
