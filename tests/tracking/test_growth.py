"""Jobs that ran out of memory: what they lost is planned again with more, and so are siblings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.errors import JobMemoryError
from dask_knot.planning import Resources
from dask_knot.run.manifest import Kind, Manifest, Output, Place, Work
from dask_knot.run.names import PLANS_PER_SESSION, ShardId, StageId
from dask_knot.run.record import PlanRecord, RecordedStage
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending
from dask_knot.tracking.memory import Allowance
from dask_knot.tracking.pace import Mending
from dask_knot.tracking.tracker import Held

from .hands import NAMES, Hands, graph
from .memory import remembered

GIB = 2**30
NEEDS: dict[Key, list[Key]] = {f"fit-{n}": [] for n in range(4)}


def hands(retries: int = 3, most: int | None = None, **kinds: Any) -> Hands:
    """Make a client whose jobs have 1 GiB."""
    made = Hands(default=Resources(memory=GIB), **kinds)
    made.tracker.memory.allow(Allowance(retries, most))
    return made


def memory_of(made: Hands, key: Key) -> int | None:
    """Tell what the newest job has that makes a key."""
    id = made.shard_of(key)
    return made.plans[id.stage.plan].stages[id.stage.stage].resources.memory


def run_out(made: Hands, key: Key) -> None:
    """Let the newest job that makes a key run out of memory."""
    error = JobMemoryError("used more memory than allowed", "job", "OutOfMemory", ("log",))
    made.tell(events.ChildFailed(made.shard_of(key), Ending.MEMORY, error))


def found(id: ShardId, part: int | None, work: dict[str, Work]) -> events.ManifestFound:
    """Find a manifest that tells of the first output of a shard."""
    name = NAMES.manifest(id, part)
    output = Output(0, Kind.FINISHED, Place(name, 0, 1), 8, 0, 1.0, 2.0)
    manifest = Manifest(part is None, 1, [output], [(b"pickled", "int")], work)
    return events.ManifestFound(id, name, manifest)


def news(made: Hands) -> list[str]:
    """List what people are told at once."""
    return [action.text for action in made.all(actions.Decided) if action.is_news]


def errors(made: Hands) -> dict[Key, str]:
    """Give the errors of keys."""
    return {action.key: str(action.failure) for action in made.all(actions.FailKey)}


@pytest.mark.parametrize(
    ("had", "base", "allowance", "more"),
    [
        (GIB, GIB, Allowance(3), 2 * GIB),
        (4 * GIB, GIB, Allowance(3), 8 * GIB),
        (8 * GIB, GIB, Allowance(3), None),
        (5 * GIB, GIB, Allowance(3), 8 * GIB),
        (8 * GIB, 8 * GIB, Allowance(3), 16 * GIB),
        (GIB, GIB, Allowance(0), None),
        (GIB, GIB, Allowance(1), 2 * GIB),
        (2 * GIB, GIB, Allowance(1), None),
        (2 * GIB, GIB, Allowance(3, 3 * GIB), 3 * GIB),
        (3 * GIB, GIB, Allowance(3, 3 * GIB), None),
        (4 * GIB, GIB, Allowance(3, 3 * GIB), None),
        (None, GIB, Allowance(3), None),
        (GIB, 0, Allowance(3), None),  # nobody here has its task
        (GIB, GIB, Allowance(3, None, lambda needs: None), None),
    ],
)
def test_the_next_try(had: int | None, base: int, allowance: Allowance, more: int | None) -> None:
    assert allowance.more(Resources(memory=had), base) == more


def test_only_the_lost_shard_is_planned_again_and_with_twice_the_memory() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    assert {memory_of(made, key) for key in NEEDS} == {GIB}
    run_out(made, "fit-2")
    again = made.plan().plan
    assert [shard.outputs for stage in again.stages for shard in stage.shards] == [("fit-2",)]
    assert memory_of(made, "fit-2") == 2 * GIB
    assert errors(made) == {}


def test_what_a_part_has_committed_is_kept() -> None:
    made = hands(slots=1)
    made.tell(events.CostsRecalled(assumed={"fit": 0.001}))
    made.submit(NEEDS, *NEEDS)
    made.plan()
    id = made.shard_of("fit-0")
    first, *lost = made.shard(id).outputs
    made.tell(found(id, 0, {"fit": Work(1, 1.0)}))
    run_out(made, first)
    stages = made.plan().plan.stages
    assert sorted(map(str, (k for s in stages for one in s.shards for k in one.outputs))) == lost


def test_it_is_doubled_as_often_as_it_may_be_and_then_said() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    seen = []
    for _ in range(4):
        made.plan()
        seen.append(memory_of(made, "fit-0"))
        run_out(made, "fit-0")
    assert seen == [GIB, 2 * GIB, 4 * GIB, 8 * GIB]
    (text,) = errors(made).values()
    assert "It had 1.00 GiB at first and 8.00 GiB in the end" in text
    assert "knot.memory-retries: 3" in text
    assert len(news(made)) == 3
    assert "'fit' ran out of memory with 1.00 GiB (job 0 of stage 0.0)" in news(made)[0]


def test_no_job_gets_more_than_there_is() -> None:
    made = hands(most=3 * GIB)
    made.submit(NEEDS, *NEEDS)
    for memory in (GIB, 2 * GIB, 3 * GIB):
        made.plan()
        assert memory_of(made, "fit-0") == memory
        run_out(made, "fit-0")
    (text,) = errors(made).values()
    assert "no job may have more here (knot.max-memory" in text


@pytest.mark.parametrize("allowance", [Allowance(0), Allowance(3, GIB), Allowance(3, GIB // 2)])
def test_turned_off_the_task_is_blamed_at_once(allowance: Allowance) -> None:
    made = hands()
    made.tracker.memory.allow(allowance)
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    assert errors(made) == {
        "fit-0": "the value of 'fit-0' could not be made: used more memory than allowed"
    }
    assert news(made) == []


def test_beyond_the_limit_a_shard_is_narrowed_as_before_and_one_task_is_blamed() -> None:
    made = hands(retries=1, slots=1)
    made.tell(events.CostsRecalled(assumed={"fit": 0.001}))
    made.submit(NEEDS, *NEEDS)
    made.plan()
    assert len(made.shard(made.shard_of("fit-0")).tasks) == 4
    run_out(made, "fit-0")
    made.plan()
    assert len(made.shard(made.shard_of("fit-0")).tasks) == 4
    run_out(made, "fit-0")
    made.plan()
    assert {len(made.shard(made.shard_of(key)).tasks) for key in NEEDS} == {1}
    assert {memory_of(made, key) for key in NEEDS} == {2 * GIB}
    run_out(made, "fit-3")
    assert list(errors(made)) == ["fit-3"]


def test_siblings_that_run_fail_once_each_and_it_is_said_once() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    for key in NEEDS:
        run_out(made, key)
    while made.all(actions.MakePlan)[-1].number not in made.plans:
        made.plan()
    assert {memory_of(made, key) for key in NEEDS} == {2 * GIB}
    assert len(news(made)) == 1


def test_graphs_that_come_later_begin_with_it_and_others_do_not() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    made.plan()
    made.submit({"fit-9": [], "load-9": []}, "fit-9", "load-9")
    made.plan()
    assert (memory_of(made, "fit-9"), memory_of(made, "load-9")) == (2 * GIB, GIB)


def test_what_the_user_asked_for_is_doubled_too_and_never_less() -> None:
    made = hands()
    sizes: dict[Key, Resources] = {
        "fit-0": Resources(2, 4 * GIB),
        "fit-1": Resources(1, 32 * GIB, 1),
    }
    keys: dict[Key, list[Key]] = {key: [] for key in sizes}
    made.tell(events.GraphSubmitted(replace(graph(keys, sizes), resources=sizes)))
    made.plan()
    run_out(made, "fit-0")
    again = made.plan().plan.stages[0].resources
    assert again == Resources(2, 8 * GIB)
    run_out(made, "fit-1")
    assert made.plan().plan.stages[0].resources == Resources(1, 64 * GIB, 1)


def test_a_task_that_nothing_is_enough_for_says_nothing_of_its_siblings() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    for _ in range(4):
        made.plan()
        run_out(made, "fit-0")
    assert list(errors(made)) == ["fit-0"]
    made.submit({"fit-9": []}, "fit-9")
    made.plan()
    assert memory_of(made, "fit-9") == GIB
    assert made.tracker.memory.short() == {("fit", b""): 8 * GIB}
    assert made.tracker.memory.enough() == {}


def test_what_was_enough_is_known_and_stays_whoever_fails_later() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    made.plan()
    made.tell(found(made.shard_of("fit-0"), None, {"fit": Work(1, 1.0)}))
    assert made.tracker.memory.enough() == {("fit", b""): 2 * GIB}
    made.submit({"fit-8": []}, "fit-8")
    for _ in range(3):
        made.plan()
        run_out(made, "fit-8")
    assert list(errors(made)) == ["fit-8"]
    assert made.tracker.memory.known() == {("fit", b""): 2 * GIB}


def test_what_earlier_sessions_knew_is_given_at_once_for_the_same_code_only() -> None:
    made = hands(most=12 * GIB)
    made.tell(events.CostsRecalled(memory={("fit", b""): 8 * GIB, ("load", b"old"): 8 * GIB}))
    made.submit({"fit-0": [], "load-0": []}, "fit-0", "load-0")
    made.plan()
    assert (memory_of(made, "fit-0"), memory_of(made, "load-0")) == (8 * GIB, GIB)
    run_out(made, "fit-0")
    made.plan()
    assert memory_of(made, "fit-0") == 12 * GIB
    made.tracker.memory.allow(Allowance(0))
    made.submit({"fit-1": []}, "fit-1")
    made.plan()
    assert memory_of(made, "fit-1") == GIB


def test_a_look_ahead_knows_it_and_changes_nothing() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    before = made.tracker.memory.known()
    seen = made.tracker.foresee(graph({"fit-7": []}, ["fit-7"]))
    assert seen.request is not None
    assert seen.request.resources == {"fit-7": Resources(memory=2 * GIB)}
    assert made.tracker.memory.known() == before


def test_a_stage_that_has_not_started_is_planned_anew() -> None:
    made = hands(mended=Mending(0.0, None), job_start_seconds=2.0)
    made.tell(events.CostsRecalled(assumed={"load": 100.0, "fit": 100.0}))
    reads: dict[Key, list[Key]] = {f"load-{n}": [] for n in range(4)}
    made.submit({**reads, "join": [*reads]}, "join")
    made.plan()
    made.submit({key: ["join"] for key in NEEDS}, *NEEDS, external=["join"])
    made.plan()
    assert memory_of(made, "fit-1") == GIB
    made.submit({"fit-9": []}, "fit-9")
    made.plan()
    run_out(made, "fit-9")
    made.plan()
    made.tell(events.Ticked())
    assert any("need more memory" in one.text for one in made.all(actions.Decided))
    made.plan()
    assert {memory_of(made, key) for key in NEEDS} == {2 * GIB}
    count = len(made.all(actions.MakePlan))
    made.tell(events.Ticked(), events.Ticked())
    assert len(made.all(actions.MakePlan)) == count


def steps(needs: Resources) -> Resources | None:
    """Have jobs of whole 3 GiB with as many vCPUs, as Fargate does."""
    threes = -(-(needs.memory or 0) // (3 * GIB))
    return Resources(threes, 3 * GIB * threes) if threes < 4 else None


def test_there_may_be_jobs_of_some_sizes_only() -> None:
    made = hands()
    made.tracker.memory.allow(Allowance(3, 9 * GIB, steps))
    made.submit(NEEDS, *NEEDS)
    seen = []
    while not errors(made):
        made.plan()
        seen.append(memory_of(made, "fit-0"))
        run_out(made, "fit-0")
    assert seen == [GIB, 3 * GIB, 6 * GIB, 9 * GIB]


def up_to(most: int) -> Callable[[Resources], Resources | None]:
    """Give what says of sizes which there are: any that is no larger."""
    return lambda needs: needs if needs.memory is not None and needs.memory <= most else None


@pytest.mark.parametrize(
    ("known", "largest", "seen"),
    [
        (8 * GIB, 4 * GIB, [4 * GIB]),
        (12 * GIB, 4 * GIB, [3 * GIB]),
        (64 * GIB, GIB, [GIB]),
    ],
)
def test_what_earlier_sessions_had_that_is_not_to_be_had_here_ends_all_the_same(
    known: int, largest: int, seen: list[int]
) -> None:
    made = hands()
    made.tracker.memory.allow(Allowance(3, None, up_to(largest)))
    made.tell(events.CostsRecalled(memory={("fit", b""): known}))
    made.submit({"fit-0": []}, "fit-0")
    had = []
    while not errors(made) and len(had) < 9:
        made.plan()
        had.append(memory_of(made, "fit-0"))
        run_out(made, "fit-0")
    assert had[: len(seen)] == seen
    assert errors(made)
    assert set(had) == {*seen}


def test_a_shard_of_an_earlier_session_is_made_again_with_more_than_that_had() -> None:
    held = Held(PLANS_PER_SESSION)
    made = hands(held=held)
    digest = b"d" * 16
    stage = RecordedStage([], {"fit": 1}, 1, 4 * GIB, 0, [1], [1])
    entry = PlanRecord(0, 0.0, [stage], ["old"], digest, [0])
    made.tell(events.EntriesFound([entry]))
    made.submit({"fit-0": []}, "fit-0", digests={"fit-0": digest})
    old = ShardId(StageId(0, 0), 0)
    made.tell(events.StageFound(old.stage, True))
    error = JobMemoryError("used more memory than allowed", "job", "OutOfMemory", ())
    made.tell(events.ChildFailed(old, Ending.MEMORY, error))
    made.plan()
    assert memory_of(made, "fit-0") == 8 * GIB


def test_when_no_machine_is_large_enough_the_task_errs_and_its_siblings_do_not() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    made.plan()
    run_out(made, "fit-0")
    made.plan()
    assert memory_of(made, "fit-0") == 4 * GIB
    made.submit({"fit-9": []}, "fit-9")
    made.plan()
    for key in ("fit-0", "fit-9"):
        made.fail(made.shard_of(key), Ending.NOT_STARTED)
        made.plan()
        assert memory_of(made, key) == 2 * GIB
    assert errors(made) == {}
    run_out(made, "fit-0")
    assert "no job may have more here" in errors(made)["fit-0"]
    made.finish(made.shard_of("fit-9"))
    assert [action.key for action in made.all(actions.FinishKey)] == ["fit-9"]
    (text,) = news(made)[2:]
    assert text == "a job with 4.00 GiB never started: no job gets more than 2.00 GiB from now on"


def test_turned_off_what_earlier_sessions_had_is_not_tried_either() -> None:
    made = hands(retries=0)
    made.tell(events.CostsRecalled(memory={("fit", b""): 8 * GIB}))
    made.submit({"fit-0": []}, "fit-0")
    had = []
    while not errors(made) and len(had) < 9:
        made.plan()
        had.append(memory_of(made, "fit-0"))
        run_out(made, "fit-0")
    assert had == [GIB]


def test_no_machine_is_as_large_as_those_of_earlier_sessions() -> None:
    made = hands()
    made.tell(events.CostsRecalled(memory={("fit", b""): 8 * GIB}))
    made.submit({"fit-0": [], "fit-1": []}, "fit-0", "fit-1")
    made.plan()
    made.fail(made.shard_of("fit-0"), Ending.NOT_STARTED)
    made.plan()
    assert memory_of(made, "fit-0") == GIB
    assert errors(made) == {}
    run_out(made, "fit-0")
    assert list(errors(made)) == ["fit-0"]
    made.fail(made.shard_of("fit-1"), Ending.NOT_STARTED)
    made.plan()
    assert memory_of(made, "fit-1") == GIB
    made.fail(made.shard_of("fit-1"), Ending.NOT_STARTED)
    assert [*errors(made)] == ["fit-0", "fit-1"]
    assert len(news(made)) == 1


def test_a_job_of_a_size_that_did_start_is_blamed_for_nothing() -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    run_out(made, "fit-0")
    made.plan()
    made.tell(found(made.shard_of("fit-0"), None, {"fit": Work(1, 1.0)}))
    made.submit({"fit-9": []}, "fit-9")
    made.plan()
    made.fail(made.shard_of("fit-9"), Ending.NOT_STARTED)
    assert list(errors(made)) == ["fit-9"]


@pytest.mark.parametrize("ending", [Ending.KILLED, Ending.TIMEOUT, Ending.HOST_LOST])
def test_other_endings_take_no_memory(ending: Ending) -> None:
    made = hands()
    made.submit(NEEDS, *NEEDS)
    made.plan()
    made.fail(made.shard_of("fit-0"), ending)
    assert remembered(made.tracker).memory.known() == {}
