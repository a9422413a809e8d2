"""Running plans are mended: what is asked of children, taken back, started twice, and when not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from dask.typing import Key

from dask_knot.planning import Cost, Limits, Resources
from dask_knot.run.manifest import Handed, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.orders import Orders
from dask_knot.tracking import actions, events, recutting
from dask_knot.tracking.durations import NO_CODE, Durations, Said
from dask_knot.tracking.events import Ending
from dask_knot.tracking.pace import Mending
from dask_knot.tracking.remainder import Remainder

from .hands import NAMES, Hands, graph

START = 10.0
FIRST = StageId(0, 0)


def hands(speculate: float | None = None, least: float = 0.0, **limits: float) -> Hands:
    """Have four slots, and job starts of ten seconds."""
    numbers = {"slots": 4, "shards_per_slot": 1, "job_start_seconds": START, **limits}
    made = Hands(mended=Mending(least, speculate), **numbers)
    made.tell(events.CostsRecalled({}, {}, {}))
    return made


def of_map(made: Hands, tasks: int = 40) -> list[ShardId]:
    """Plan a map of which nothing is known, and start it: a shard for each slot."""
    keys: list[Key] = [f"f-{n}" for n in range(tasks)]
    made.submit({key: [] for key in keys}, *keys)
    made.plan()
    (stage,) = made.plans[0].stages
    assert [len(shard.tasks) for shard in stage.shards] == [tasks // 4] * 4
    made.now += 5 * START  # machines boot
    made.tell(events.StageStarted(FIRST))
    return [ShardId(FIRST, n) for n in range(4)]


def commit(
    made: Hands,
    shard: ShardId,
    keys: Sequence[Key] = (),
    part: int | None = None,
    seconds: float = 30.0,
    handed: Handed | None = None,
) -> list[actions.Action]:
    """Let a shard commit keys that took so many seconds each; all of them unless it says which."""
    planned = made.shard(shard)
    done = keys or planned.tasks
    name = NAMES.manifest(shard, part)
    every = [*planned.outputs, *(handed.extra if handed else ())]
    outputs = [
        Output(n, Kind.FINISHED, Place(name, n, 1), 8, 0, 1.0, 2.0)
        for n, key in enumerate(every)
        if key in done
    ]
    prefixes = {str(key).partition("-")[0] for key in done}
    work = {}
    for prefix in prefixes:
        count = sum(str(key).startswith(prefix) for key in done)
        work[prefix] = Work(count, seconds * count, squares=seconds**2 * count)
    manifest = Manifest(part is None, 1, outputs, [(b"t", "int")], work, handed=handed)
    return made.tell(events.ManifestFound(shard, name, manifest))


def look(made: Hands, after: float = 100.0, is_alone: bool = True) -> list[actions.Action]:
    """Let time pass, and see what is decided."""
    made.now += after
    return made.tell(events.Ticked(is_alone))


def asked(made: Hands, stage: StageId = FIRST) -> set[int]:
    """Name the children that are asked to hand over."""
    return set(made.tracker.orders_of(stage).asked)


def test_who_has_much_before_it_is_asked_while_slots_are_idle() -> None:
    made = hands()
    first, *others = of_map(made)
    commit(made, first, made.shard(first).tasks[:2], part=0)
    for shard in others:
        commit(made, shard)
    decided = look(made, after=1.0)
    assert actions.TellChildren(FIRST) in decided
    assert made.tracker.orders_of(FIRST) == Orders(asked=frozenset({0}))
    (why,) = [action.text for action in decided if isinstance(action, actions.Decided)]
    assert why == (
        "job 0 of stage 0.0 is asked to hand over tasks that haven't started: has at most "
        "205.00 s of work left, and 3 slots are idle"
    )
    assert look(made) == []  # once


@pytest.mark.parametrize("case", ["others", "little", "unstarted", "busy", "coming", "least"])
def test_who_is_not_asked(case: str) -> None:
    made = hands(least=1000.0 if case == "least" else 0.0)
    first, *others = of_map(made)
    done = made.shard(first).tasks[: 9 if case == "little" else 2]
    commit(made, first, done, part=0, seconds=30.0)
    if case == "unstarted":
        keys: list[Key] = [f"f-{n}" for n in range(90, 94)]
        made.submit({key: [] for key in keys}, *keys)
        made.plan()
    for shard in others[: 0 if case == "busy" else 3]:
        commit(made, shard)
    if case == "coming":
        made.submit({"f-99": []}, "f-99")  # its plan is being made
    look(made, after=1.0, is_alone=case != "others")
    assert asked(made) == set()


def test_who_is_at_one_task_for_long_is_asked_for_those_that_wait_behind_it() -> None:
    made = hands()
    first, *others = of_map(made)
    tasks = made.shard(first).tasks
    commit(made, first, tasks[:7], part=0, seconds=1.0)  # three are left, of a second each
    for shard in others:
        commit(made, shard, seconds=1.0)
    look(made, after=2.0)
    assert asked(made) == set()
    decided = look(made, after=3 * START)
    assert asked(made) == {0}
    (why,) = [action.text for action in decided if isinstance(action, actions.Decided)]
    assert "has at most 2 tasks waiting behind a long one" in why


def test_one_for_each_idle_slot_and_the_longest_first() -> None:
    made = hands()
    shards = of_map(made)
    for shard, count in zip(shards, (4, 2, 6, 10), strict=True):
        commit(made, shard, made.shard(shard).tasks[:count], part=0 if count < 10 else None)
    look(made, after=1.0)
    assert asked(made) == {1}


def test_who_was_asked_a_moment_ago_may_fill_the_slot() -> None:
    made = hands(least=5.0)
    shards = of_map(made)
    for shard, count in zip(shards, (4, 2, 6, 10), strict=True):
        commit(made, shard, made.shard(shard).tasks[:count], part=0 if count < 10 else None)
    look(made, after=1.0)
    for _ in range(4):
        look(made, after=5.0)
        assert asked(made) == {1}
    look(made, after=10.0)  # it doesn't answer
    assert len(asked(made)) == 2


def test_what_is_handed_over_is_planned_again_and_the_rest_goes_on() -> None:
    made = hands()
    first, *others = of_map(made)
    for shard in others:
        commit(made, shard)
    look(made)
    tasks = made.shard(first).tasks
    given = Handed(list(range(3, 10)), {"f": 7})
    decided = commit(made, first, tasks[:2], part=0, handed=given)
    request = made.last(actions.MakePlan).request
    assert set(request.dependencies) == set(tasks[3:])
    (why,) = [action.text for action in decided if isinstance(action, actions.Decided)]
    assert why == "job 0 of stage 0.0 has handed over 7 tasks, which are planned again"
    made.plan()
    shards = made.plans[1].stages[0].shards
    assert len(shards) == 3  # as many as slots are free
    counted = made.tracker.snapshot().tasks["f"]
    assert (counted.done, counted.total) == (32, 40)
    commit(made, first, tasks[:3], handed=given)
    for n in range(len(shards)):
        commit(made, ShardId(StageId(1, 0), n))
    assert {a.key for a in made.all(actions.FinishKey)} == {f"f-{n}" for n in range(40)}
    assert made.tracker.is_idle
    counted = made.tracker.snapshot().tasks["f"]
    assert (counted.done, counted.total) == (40, 40)
    made.forget(*(f"f-{n}" for n in range(40)))
    assert made.is_clean()
    deleted = {name for a in made.all(actions.DeleteObjects) for name in a.names}
    assert {NAMES.pack(FIRST), NAMES.orders(FIRST), NAMES.claim(first)} <= deleted


def test_values_inside_of_a_shard_are_kept_for_what_it_handed_over() -> None:
    made = hands(slots=1)
    reads: dict[Key, list[Key]] = {"x-0": [], "f-1": ["x-0"], "f-2": ["x-0"], "g-0": ["f-1"]}
    made.tell(events.CostsRecalled({(p, b""): Cost(0.1) for p in "xfg"}, {}, {}))
    made.submit(reads, "g-0", "f-2")
    made.plan()
    shard = made.shard_of("g-0")
    assert set(made.shard(shard).outputs) == {"g-0", "f-2"}
    ordinal = made.shard(shard).outputs.index("f-2")
    commit(made, shard, ["x-0"], part=0, handed=Handed([ordinal], {"f": 1}, ["x-0"]))
    request = made.last(actions.MakePlan).request
    assert dict(request.dependencies) == {"f-2": {"x-0"}}
    assert request.external == {"x-0": None}  # it is there
    submitted = made.plan()
    assert submitted.inputs["x-0"] == Place(NAMES.manifest(shard, 0), 2, 1)


def with_a_value_to_come() -> tuple[Hands, ShardId]:
    """Let a shard hand over a sum, one part of which it is at."""
    made = hands(slots=1)
    reads: dict[Key, list[Key]] = {"x-0": [], "f-1": [], "g-0": ["f-1", "x-0"]}
    made.tell(events.CostsRecalled({(p, b""): Cost(0.1) for p in "xfg"}, {}, {}))
    made.submit(reads, "g-0")
    made.plan()
    shard = made.shard_of("g-0")
    commit(made, shard, ["none"], part=0, handed=Handed([0], {"f": 1, "g": 1}, ["x-0"]))
    return made, shard


def test_a_value_that_is_still_to_come_is_waited_for() -> None:
    made, shard = with_a_value_to_come()
    request = made.last(actions.MakePlan).request
    assert set(request.dependencies) == {"f-1", "g-0"}
    assert request.external == {"x-0": shard.stage}


def test_a_value_that_was_to_come_and_does_not_is_made_again() -> None:
    """A twin, or an attempt that could not read of the hand-over, ends without it."""
    made, shard = with_a_value_to_come()
    made.plan()
    commit(made, shard, ["g-0"])
    assert {*made.last(actions.MakePlan).request.dependencies} == {"x-0"}
    made.plan()
    commit(made, made.shard_of("x-0"), ["x-0"])
    commit(made, made.shard_of("g-0"), ["g-0"])
    assert [a.key for a in made.all(actions.FinishKey)] == ["g-0"]
    made.forget("g-0")
    assert made.is_clean()


def test_stages_that_read_what_is_handed_over_are_planned_with_it() -> None:
    made = hands()
    keys: list[Key] = [f"f-{n}" for n in range(8)]
    reads: dict[Key, list[Key]] = {key: [] for key in keys}
    made.submit({**reads, "g-0": [*keys]}, "g-0")
    made.plan()
    first, behind = ShardId(FIRST, 0), StageId(0, 1)
    assert len(made.plans[0].stages) == 2
    made.tell(events.StageStarted(FIRST))
    kept, *given = made.shard(first).tasks
    commit(made, first, [kept], part=0, handed=Handed([1], {"f": len(given)}))
    assert made.last(actions.TerminateStage) == actions.TerminateStage(behind)
    request = made.last(actions.MakePlan).request
    assert set(request.dependencies) == {*given, "g-0"}
    assert request.external[kept] is None


def test_a_shard_whose_child_was_first_has_handed_over_nothing() -> None:
    made = hands()
    first, *_ = of_map(made)
    commit(made, first, made.shard(first).tasks[:2], part=0, handed=Handed((), {}, ["x"]))
    assert len(made.all(actions.MakePlan)) == 1
    assert asked(made) == set()


def test_the_claim_of_a_child_goes_with_its_shard() -> None:
    made = hands()
    first, *others = of_map(made)
    for shard in others:
        commit(made, shard)
    look(made, after=1000.0)
    assert asked(made) == {0}
    commit(made, first)
    made.forget(*(f"f-{n}" for n in range(40)))
    deleted = {name for a in made.all(actions.DeleteObjects) for name in a.names}
    assert NAMES.claim(first) in deleted
    assert NAMES.claim(others[0]) not in deleted


def test_where_a_task_is_looked_for_that_ends_its_process_nothing_is_mended() -> None:
    made = hands()
    first, *others = of_map(made, 160)
    made.fail(first, Ending.KILLED)
    made.plan()
    stage = StageId(1, 0)
    assert len(made.shard(ShardId(stage, 0)).tasks) == 3
    made.tell(events.StageStarted(stage))
    for shard in [*others, *(ShardId(stage, n) for n in range(1, 14))]:
        commit(made, shard)
    look(made, after=1000.0)
    assert asked(made, stage) == set()


@pytest.mark.parametrize(("followers", "is_asked"), [(400, True), (80_000, False)])
def test_much_is_not_planned_again_for_little(followers: int, is_asked: bool) -> None:
    made = hands(job_start_seconds=0.5)
    keys: list[Key] = [f"f-{n}" for n in range(40)]
    behind: list[Key] = [f"g-{n}" for n in range(followers)]
    reads: dict[Key, list[Key]] = {**{key: [] for key in keys}, **{key: keys[:2] for key in behind}}
    made.tell(events.GraphSubmitted(graph({**reads, "all": keys, "h": behind}, ["all", "h"])))
    made.plan()
    made.tell(events.StageStarted(FIRST))
    first, *others = (ShardId(FIRST, n) for n in range(4))
    for shard in others:
        commit(made, shard, seconds=0.3)
    commit(made, first, made.shard(first).tasks[:1], part=0, seconds=0.3)
    look(made, after=1.0)
    assert (asked(made) == {0}) is is_asked


def two_steps(made: Hands, second: int, known: dict[str, float]) -> None:
    """Plan a step, and one behind it that needs all of it."""
    made.tell(events.CostsRecalled({(p, b""): Cost(s) for p, s in known.items()}, {}, {}))
    first: list[Key] = [f"f-{n}" for n in range(4)]
    keys: list[Key] = [f"g-{n}" for n in range(second)]
    made.submit({**{key: [] for key in first}, **{key: [*first] for key in keys}}, *keys)
    made.plan()
    made.tell(events.StageStarted(FIRST))


def learn(made: Hands, prefix: str, seconds: float) -> None:
    """Let another plan show what tasks of a prefix take."""
    made.submit({f"{prefix}-99": []}, f"{prefix}-99")
    made.plan()
    commit(made, made.shard_of(f"{prefix}-99"), seconds=seconds)


@pytest.mark.parametrize(
    ("known", "true", "shards"),
    [
        ({"f": 500.0, "g": 0.01}, 300.0, 4),  # taken for short, and one shard: 40 are spread
        ({"f": 500.0}, 0.01, 1),  # nothing was known: all of it in one job instead of one a slot
    ],
)
def test_stages_that_have_not_started_are_cut_anew(
    known: dict[str, float], true: float, shards: int
) -> None:
    made = hands()
    two_steps(made, 40, known)
    before = len(made.plans[0].stages[1].shards)
    learn(made, "g", true)
    decided = look(made, after=5.0)
    assert actions.TerminateStage(StageId(0, 1)) in decided
    (why,) = [action.text for action in decided if isinstance(action, actions.Decided)]
    assert why.startswith("stage 0.1 that had not started is planned again: 40 tasks")
    made.plan()
    (stage,) = made.plans[2].stages
    assert len(stage.shards) == shards != before
    look(made)
    assert made.last(actions.TerminateStage).stage.plan == 0  # once


def test_stages_in_front_of_one_that_joins_others_are_cut_anew() -> None:
    made = hands(upstream_arrays=2)
    known = {"f": 5000.0, "a": 0.01, "b": 0.01, "c": 0.01, "z": 0.01}
    made.tell(events.CostsRecalled({(p, b""): Cost(s) for p, s in known.items()}, {}, {}))
    first: list[Key] = [f"f-{n}" for n in range(4)]
    joined: list[Key] = [f"{p}-{n}" for p in "abc" for n in range(40)]
    last: list[Key] = [f"z-{n}" for n in range(4)]
    reads: dict[Key, list[Key]] = {key: [] for key in first}
    reads |= {key: first for key in joined} | {key: joined for key in last}
    sizes = {key: Resources(vcpus="abc".index(str(key)[0]) + 1) for key in joined}
    made.tell(events.GraphSubmitted(replace(graph(reads, last), resources=sizes)))
    made.plan()
    stages = made.plans[0].stages
    assert sum(not stage.shards[0].tasks for stage in stages) == 1
    made.tell(events.StageStarted(FIRST))
    learn(made, "a", 300.0)
    look(made, after=5.0)
    ended = {a.stage for a in made.all(actions.TerminateStage)}
    assert made.shard_of("a-0").stage in ended
    made.plan()
    assert len(made.plans[2].stages[0].shards) == 4


def test_what_was_said_is_planned_for_until_it_is_seen_to_be_wrong() -> None:
    made = hands()
    made.tell(events.CostsRecalled({("f", b""): Cost(5000.0)}, {}, {}))
    first: list[Key] = [f"f-{n}" for n in range(4)]
    keys: list[Key] = [f"g-{n}" for n in range(40)]
    reads: dict[Key, list[Key]] = {**{key: [] for key in first}, **{key: first for key in keys}}
    seconds = {key: 0.01 for key in [*keys, "g-99"]}
    made.tell(events.GraphSubmitted(replace(graph(reads, keys), seconds=seconds)))
    made.plan()
    made.tell(events.StageStarted(FIRST))
    assert len(made.plans[0].stages[1].shards) == 1
    made.tell(events.GraphSubmitted(replace(graph({"g-99": []}, ["g-99"]), seconds=seconds)))
    made.plan()
    decided = commit(made, made.shard_of("g-99"), seconds=300.0)
    assert (
        actions.Decided(
            "tasks of 'g' don't take the seconds given for them: what they really took is "
            "used instead"
        )
        in decided
    )
    assert actions.TerminateStage(StageId(0, 1)) in look(made, after=5.0)
    made.plan()
    assert len(made.plans[2].stages[0].shards) == 4
    for _ in range(3):
        assert not look(made, after=5.0)  # once


def test_one_long_task_among_short_ones_is_believed() -> None:
    made = hands()
    made.tell(events.CostsRecalled({("f", b""): Cost(5000.0), ("g", b""): Cost(1.0)}, {}, {}))
    first: list[Key] = [f"f-{n}" for n in range(4)]
    keys: list[Key] = [f"g-{n}" for n in range(4)]
    said = graph({**{key: [] for key in first}, **{key: first for key in keys}}, keys)
    seconds = {"g-0": 4000.0, "g-1": 1.0, "g-2": 1.0, "g-3": 1.0}
    made.tell(events.GraphSubmitted(replace(said, seconds=seconds)))
    made.plan()
    made.tell(events.StageStarted(FIRST))
    learn(made, "g", 1.0)
    for _ in range(3):
        assert not look(made, after=5.0)


@pytest.mark.parametrize("case", ["right", "others", "soon", "good enough"])
def test_stages_that_stay_as_they_are(case: str) -> None:
    made = hands()
    two_steps(made, 40, {"f": 500.0, "g": 0.01})
    learn(made, "g", {"right": 0.01, "good enough": 0.02}.get(case, 300.0))
    after = 498.0 if case == "soon" else 5.0
    decided = look(made, after=after, is_alone=case != "others")
    assert not [a for a in decided if isinstance(a, actions.TerminateStage)]


def test_how_a_thousand_stages_are_cut_best_is_found_at_once() -> None:
    cut = recutting.Cut(1, 1, 30.0, 30.0)
    start = time.process_time()
    lasts, jobs = recutting.best([cut] * 3000, Limits(slots=4, job_start_seconds=START))
    assert time.process_time() - start < 5.0
    assert (lasts, jobs) == (3000 * 30.0 + START, 1)


def test_a_shard_that_takes_many_times_as_long_is_started_once_more() -> None:
    made = hands(speculate=3.0)
    first, *others = of_map(made, 4)
    look(made, after=1.0)
    made.now += 50.0
    for shard in others:
        commit(made, shard)
    look(made, after=5.0)
    assert not made.all(actions.StartTwin)
    decided = look(made, after=400.0)
    assert made.all(actions.StartTwin) == [actions.StartTwin(first)]
    assert any(
        "is started a second time" in a.text for a in decided if isinstance(a, actions.Decided)
    )
    look(made, after=200.0)
    assert len(made.all(actions.StartTwin)) == 1


def test_nothing_is_started_twice_unless_that_is_asked_for() -> None:
    made = hands()
    _, *others = of_map(made, 4)
    for shard in others:
        commit(made, shard)
    look(made, after=1e6), look(made, after=1e6)
    assert not made.all(actions.StartTwin)


def test_the_child_that_was_overtaken_is_told() -> None:
    made = hands(speculate=3.0)
    first, second, *others = of_map(made, 4)
    look(made, after=1.0)
    for shard in others:
        commit(made, shard)
    look(made, after=1.0)
    look(made, after=500.0)
    assert {a.shard for a in made.all(actions.StartTwin)} == {first, second}
    assert actions.TellChildren(FIRST) in commit(made, first)
    assert made.tracker.orders_of(FIRST).unneeded == {0}


@pytest.mark.parametrize(
    ("rest", "seconds"),
    [
        (Remainder({"f": 3, "g": 1}, {}, 4), 7.0),
        (Remainder({"f": 3, "h": 1}, {}, 4, unknown=1), None),
        (Remainder({"f": 3, "h": 1}, {}, 4, planned=20.0), 11.0),  # of h it was known
        (Remainder({"f": 3}, {}, 4, said={"f": Said(4, 0, 8.0, 1.0, 5.0)}), 6.0),
        (Remainder({"f": 2}, {}, 2, said={"f": Said(1, 1, 8.0, 8.0, 8.0)}), 10.0),
        (Remainder({"h": 2}, {}, 2, unknown=1, said={"h": Said(1, 1, 8.0, 8.0, 8.0)}), None),
        (Remainder({}, {"f": 20, "g": 20}, 10, ran=4), 9.0),  # of another session
        (Remainder({}, {}, 0), None),
    ],
)
def test_what_is_left_of_a_shard(rest: Remainder, seconds: float | None) -> None:
    known = Durations()
    known.recall({("f", NO_CODE): Cost(2.0), ("g", NO_CODE): Cost(1.0)}, {})
    assert rest.estimate(known) == seconds


@pytest.mark.parametrize(("took", "is_asked"), [(1.0, True), (5.0, False), (50.0, False)])
def test_what_job_starts_take_is_learnt(took: float, is_asked: bool) -> None:
    """Machines that are there start jobs sooner than those that must boot."""
    made = hands()
    first, *others = of_map(made)  # its start took longer than was expected, or as long
    learn(made, "g", 1.0)
    made.submit({"g-98": []}, "g-98")
    made.plan()
    made.now += took - 1.0
    made.tell(events.StageStarted(StageId(2, 0)))
    commit(made, made.shard_of("g-98"))
    commit(made, first, made.shard(first).tasks[:5], part=0, seconds=2.0)  # eight seconds unbegun
    for shard in others:
        commit(made, shard, seconds=2.0)
    look(made, after=0.5)
    assert (asked(made) == {0}) is is_asked
