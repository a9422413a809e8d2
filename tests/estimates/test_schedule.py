"""How long plans take: jobs in slots, each as soon as what it waits for has ended."""

from __future__ import annotations

import pytest
from dask.typing import Key

from dask_knot.estimates.schedule import Course, course
from dask_knot.planning import Dependency, DependencyType, Plan, Resources
from dask_knot.planning.plan import EarlierStage, Shard, Stage


def stage(*seconds: float, after: tuple[Dependency, ...] = ()) -> Stage:
    """Make a stage of shards with one task each, whose key is what it takes."""
    shards = [Shard((one,), (), (), (), one) for one in seconds]
    return Stage(tuple(shards), Resources(), after)


def run(plan: Plan, slots: int, start: float = 0.0) -> Course:
    """Let a plan run."""
    seconds: dict[Key, float] = {
        key: float(str(key)) for one in plan.stages for shard in one.shards for key in shard.tasks
    }
    return course(plan, seconds, slots, start)


ALL = (Dependency(0),)
EACH = (Dependency(0, DependencyType.N_TO_N),)


@pytest.mark.parametrize(
    ("stages", "slots", "seconds"),
    [
        ((), 2, 0.0),
        ((stage(1, 2, 3),), 1, 6.0),
        ((stage(1, 2, 3),), 2, 4.0),
        ((stage(1, 2, 3),), 9, 3.0),
        ((stage(1, 5), stage(2, 2.5, after=ALL)), 2, 7.5),
        ((stage(1, 5), stage(6, 2, after=EACH)), 2, 7.0),
        ((stage(1, after=(Dependency(EarlierStage("x")),)),), 2, 1.0),
    ],
)
def test_a_plan_takes(stages: tuple[Stage, ...], slots: int, seconds: float) -> None:
    assert run(Plan(stages), slots).seconds == seconds


def test_starts_are_paid_for() -> None:
    assert run(Plan((stage(1, 2, 3),)), slots=3, start=10.0) == Course(13.0, 3, 36.0)


@pytest.mark.parametrize(("beside", "seconds"), [(1, 6.0), (2, 3.0), (4, 3.0)])
def test_tasks_of_a_job_run_at_once_where_it_has_cores(beside: int, seconds: float) -> None:
    plan = Plan((Stage((Shard(("a", "b", "c"), (), (), (), 0.0),), Resources()),))
    found = course(plan, {"a": 1.0, "b": 2.0, "c": 3.0}, 1, 0.0, beside)
    assert found.seconds == seconds


def test_what_nothing_is_known_of_takes_no_time() -> None:
    assert course(Plan((stage(1, 2),)), {}, 1, 0.5) == Course(1.0, 2, 1.0)


def test_the_first_task_of_a_prefix_takes_longer_in_each_job() -> None:
    kinds = {"f": 1, "g": 1}
    shards = (
        Shard((1.0, 2.0), (), (), (), 3.0, kinds),
        Shard((3.0,), (), (), (), 3.0, {"g": 1}),
        Shard((4.0,), (), (), (), 4.0, {"h": 1}),
    )
    plan = Plan((Stage(shards, Resources()),))
    seconds: dict[Key, float] = {one: one for one in (1.0, 2.0, 3.0, 4.0)}
    # Of f and g the larger counts, as they import the same.
    found = course(plan, seconds, 3, 0.5, startups={"f": 2.0, "g": 1.0})
    assert found == Course(5.5, 3, 5.5 + 4.5 + 4.5)
