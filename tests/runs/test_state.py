"""The state of a run, as a table of what is known of its shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import NO_DIGEST, PlanRecord, RecordedStage
from dask_knot.runs.progression import progression
from dask_knot.runs.state import Marks, RunState, ShardCondition
from tests.runs.stores import digest

STAGE = StageId(0, 0)
ONE, TWO = ShardId(STAGE, 0), ShardId(STAGE, 1)
DONE = frozenset({ONE})


def plan(number: int, *digests: bytes, sizes: tuple[int, ...] = ()) -> PlanRecord:
    """Make a plan of one stage whose shards have an output each."""
    ones = [1] * len(digests)
    stage = RecordedStage([], {"x": sum(sizes)}, 1.0, None, 0, ones, sizes)
    keys = [f"key-{number}-{place}" for place in range(len(digests))]
    return PlanRecord(number, 0.0, [stage], keys, b"".join(digests), [0])


A, B, C = map(digest, "abc")
PLAN = plan(0, A, B, sizes=(3, 4))


@pytest.mark.parametrize(
    ("marks", "state", "done"),
    [
        (Marks(), RunState.LEFT, 0),
        (Marks(done=DONE), RunState.LEFT, 3),
        (Marks(done=DONE | {TWO}), RunState.DONE, 7),
        (Marks(done=DONE | {TWO}, erred={TWO}), RunState.FAILED, 7),
        # It has noted errors, and was killed before its manifest.
        (Marks(done=DONE, erred={TWO}), RunState.LEFT, 3),
        (Marks(done=DONE, lost={TWO}), RunState.FAILED, 3),
        # Another attempt of the child was quicker than who wrote the obituary.
        (Marks(done=DONE | {TWO}, lost={TWO}), RunState.DONE, 7),
        (Marks(done=DONE, alive={0}), RunState.RUNNING, 3),
        (Marks(done=DONE, alive={1}), RunState.LEFT, 3),
        (Marks(done=DONE, alive={0}, withdrawn={STAGE}), RunState.LEFT, 3),
        (Marks(done=DONE | {TWO}, withdrawn={STAGE}), RunState.DONE, 7),
        (Marks(done=DONE, lost={TWO}, alive={0}), RunState.FAILED, 3),
        # On AWS jobs live on without their session.
        (Marks(done=DONE, are_bound=False), RunState.UNFINISHED, 3),
        (Marks(done=DONE, alive={0}, are_bound=False), RunState.RUNNING, 3),
        (Marks(done=DONE, jobs={STAGE: True}, are_bound=False), RunState.RUNNING, 3),
        (Marks(done=DONE, jobs={STAGE: False}, are_bound=False), RunState.LEFT, 3),
        (Marks(done=DONE, jobs={STAGE: False}, alive={0}, are_bound=False), RunState.LEFT, 3),
        (Marks(done=DONE, jobs={}, are_bound=False), RunState.LEFT, 3),
        (Marks(done=DONE, jobs={}, alive={0}, are_bound=False), RunState.RUNNING, 3),
    ],
)
def test_states(marks: Marks, state: RunState, done: int) -> None:
    found = progression([PLAN], marks)
    assert (found.state, found.done_tasks, found.all_tasks) == (state, done, 7)


def test_what_was_handed_over_is_counted_where_it_is_planned_again() -> None:
    later = plan(1, B, sizes=(2,))
    marks = Marks(done=DONE | {TWO}, handed={TWO: {"load": 2}}, alive={0})
    found = progression([PLAN, later], marks)
    assert (found.done_tasks, found.all_tasks) == (5, 7)
    assert found.state is RunState.RUNNING
    done = replace(marks, done=marks.done | {ShardId(StageId(1, 0), 0)})
    found = progression([PLAN, later], done)
    assert (found.state, found.done_tasks, found.all_tasks) == (RunState.DONE, 7, 7)


@pytest.mark.parametrize(
    ("marks", "done"),
    [
        (Marks(done=DONE, begun={TWO: 2}), 5),
        (Marks(done=DONE, lost={TWO}, begun={TWO: 2}), 5),
        (Marks(done=DONE | {TWO}, begun={TWO: 2}), 7),
        # Two attempts have done the same.
        (Marks(done=DONE, begun={TWO: 6}), 7),
        (Marks(done=DONE, handed={TWO: {"load": 3}}, begun={TWO: 2}), 4),
    ],
)
def test_what_parts_keep_is_done(marks: Marks, done: int) -> None:
    assert progression([PLAN], marks).done_tasks == done


def test_what_parts_keep_of_what_a_later_plan_makes_is_not_counted_twice() -> None:
    found = progression([PLAN, plan(1, B, sizes=(2,))], Marks(done=DONE, begun={TWO: 2}))
    assert (found.done_tasks, found.all_tasks) == (3, 5)


def test_a_run_without_plans_is_empty() -> None:
    assert progression([], Marks()).state is RunState.EMPTY


@pytest.mark.parametrize("marks", [Marks(), Marks(lost={TWO}), Marks(done={TWO}, erred={TWO})])
def test_what_a_later_plan_makes_again_is_no_failure(marks: Marks) -> None:
    again = plan(1_000_000, B, sizes=(4,))
    done = marks.done | {ONE, ShardId(StageId(1_000_000, 0), 0)}
    found = progression([PLAN, again], Marks(done, marks.erred, marks.lost))
    assert found.state is RunState.DONE
    assert (found.done_tasks, found.all_tasks) == (7, 7)
    assert found.shards(ShardCondition.REPLACED) == [TWO]


def test_an_earlier_plan_makes_nothing_good() -> None:
    later = plan(1_000_000, B, sizes=(4,))
    found = progression([later, plan(0, B, sizes=(4,))], Marks(done={ShardId(later_id(), 0)}))
    assert found.state is RunState.LEFT


def later_id() -> StageId:
    return StageId(1_000_000, 0)


def test_what_has_no_digest_is_known_by_its_key() -> None:
    first, other = plan(0, NO_DIGEST), plan(1, NO_DIGEST)
    again = replace(first, number=1)
    assert progression([first, other], Marks()).shards(ShardCondition.REPLACED) == []
    assert progression([first, again], Marks()).shards(ShardCondition.REPLACED) == [ONE]


def test_without_sizes_outputs_are_counted() -> None:
    assert progression([plan(0, A, B)], Marks(done=DONE)).done_tasks == 1


@given(
    plans=st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4), max_size=4),
    known=st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
        st.sampled_from(["done", "erred", "lost"]),
    ),
)
def test_replaced_is_what_came_to_nothing_and_is_made_later(
    plans: list[list[bytes]], known: Mapping[tuple[int, int], str]
) -> None:
    found: dict[str, set[ShardId]] = {"done": set(), "erred": set(), "lost": set()}
    for (number, index), what in known.items():
        found[what].add(ShardId(StageId(number, 0), index))
    marks = Marks(found["done"] | found["erred"], found["erred"], found["lost"])
    records = [plan(number, *digests) for number, digests in enumerate(plans)]
    there = progression(records, marks)
    for number, digests in enumerate(plans):
        later = {one for digests in plans[number + 1 :] for one in digests}
        for index, one in enumerate(digests):
            came_to_nothing = known.get((number, index)) != "done"
            condition = there.plans[number].stages[0].conditions[index]
            is_replaced = condition is ShardCondition.REPLACED
            assert is_replaced == (came_to_nothing and one in later)


def asking(number: int, key: str, code: bytes, one: bytes) -> PlanRecord:
    """Make a plan of one output that a client asked for."""
    stage = RecordedStage([], {"x": 1}, 1.0, None, 0, [1], [1])
    return PlanRecord(number, 0.0, [stage], [key], one, [0], {"x": code})


@pytest.mark.parametrize(
    ("later", "is_replaced"),
    [
        (asking(1, "total-2", b"edited", B), True),
        (asking(1_000_000, "total-2", b"edited", B), True),
        (asking(1_000_000, "total-2", b"same", B), True),  # the script was run again
        (asking(1, "total-2", b"same", B), False),  # a loop asks for many
        (asking(1, "mean-2", b"edited", B), False),
        (asking(1_000_000, "mean-2", b"edited", B), False),
    ],
)
def test_what_was_mended_and_is_asked_for_again_is_no_failure(
    later: PlanRecord, is_replaced: bool
) -> None:
    failed = asking(0, "total-1", b"same", A)
    done = {ONE, ShardId(StageId(later.number, 0), 0)}
    found = progression([failed, later], Marks(done=done, erred={ONE}))
    assert found.state is (RunState.DONE if is_replaced else RunState.FAILED)


def test_of_a_plan_in_which_nobody_asked_for_anything_nothing_is_asked_again() -> None:
    nobody = replace(asking(0, "total-1", b"same", A), wanted=[])
    later = asking(1_000_000, "total-2", b"edited", B)
    assert progression([nobody, later], Marks()).shards(ShardCondition.REPLACED) == []
