"""Random clients, jobs and mishaps: what holds after every event, and at the end."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.tracking.memory import Allowance

from .scheduler import Status
from .simulation import MEMORY, World
from .universe import random_universe


def act(world: World) -> None:
    """Let the client or the world do something, at random."""
    random, dask = world.random, world.dask
    tasks = [key for key in world.universe.tasks if key not in world.universe.literals]
    held = [key for key, entry in dask.entries.items() if entry.is_held]
    erred = [key for key, entry in dask.entries.items() if entry.status is Status.ERRED]
    what = random.random()
    if what < 0.12:
        known = [key for key in tasks if key in dask.entries]
        outside = random.sample(known, random.randint(0, len(known)))
        world.submit(random.sample(tasks, min(len(tasks), random.randint(1, 4))), outside)
    elif what < 0.17 and held:
        dask.release(random.choice(held))
    elif what < 0.20 and erred:
        mend(world)
        dask.retry(random.choice(erred))
    elif what < 0.23 and world.universe.scattered:
        count = random.randint(1, len(world.universe.scattered))
        world.scatter(random.sample(world.universe.scattered, count))
    elif what < 0.24 and held and random.random() < world.trouble * 5:
        world.lose(random.choice(held))
    elif what < 0.26:
        world.now += random.choice((0.01, 0.2, 1.0))
    elif what < 0.26 + world.mending:
        random.choice((world.ask, world.ask, world.withdraw, world.mend))()
    else:
        steps = (
            dask.settle,
            dask.settle,
            world.take,
            world.plan,
            world.send,
            world.run,
            world.run,
            world.look,
        )
        random.choice(steps)()


def mend(world: World) -> None:
    """Sometimes a task that raised raises no more."""
    if world.universe.raising and world.random.random() < 0.5:
        world.universe.raising.discard(world.random.choice(sorted(world.universe.raising, key=str)))


def live(
    seed: int,
    trouble: float,
    mistakes: float = 0.0,
    steps: int = 250,
    mending: float = 0.1,
    allowance: Allowance | None = None,
) -> World:
    """Run a world until everything is forgotten and at rest."""
    random = Random(seed)
    world = World(random, random_universe(random), trouble, mistakes)
    world.mending = mending
    if allowance is not None:
        crave(world, allowance)
    for _ in range(steps):
        act(world)
    world.come_to_rest()
    world.check_answers()
    for key in list(world.dask.entries):
        world.dask.release(key)
        if random.random() < 0.3:
            world.dask.settle()
    world.come_to_rest()
    world.check_clean()
    return world


def crave(world: World, allowance: Allowance) -> None:
    """Have tasks that need more memory, some of them more than they may have."""
    universe, random = world.universe, world.random
    tasks = [key for key in universe.tasks if key not in universe.literals]
    universe.largest = random.choice((MEMORY, 2 * MEMORY, 4 * MEMORY, universe.largest))
    most = min(MEMORY << allowance.retries, allowance.most or universe.largest, universe.largest)
    for key in random.sample(tasks, random.randint(1, len(tasks))):
        universe.needs[key] = MEMORY << random.choice((0, 1, 1, 2, 3, 4))
    universe.bad |= {key for key, memory in universe.needs.items() if memory > most}
    world.tracker.memory.allow(allowance)


def worlds(count: int) -> list[Any]:
    """Give the seeds of so many worlds; one in six is enough for the fast loop."""
    return [pytest.param(n, marks=[pytest.mark.slow] if n % 6 else []) for n in range(count)]


@pytest.mark.parametrize("seed", worlds(150))
def test_every_question_has_one_answer_and_nothing_is_left(seed: int) -> None:
    live(seed, trouble=0.0)


@pytest.mark.parametrize("seed", worlds(100))
def test_refused_stages_failed_plans_and_lost_values_hang_nothing(seed: int) -> None:
    live(seed, trouble=0.05)


@pytest.mark.parametrize("trouble", [0.0, 0.02])
@pytest.mark.parametrize("seed", worlds(100))
def test_what_needs_more_memory_gets_it_as_far_as_that_may_be(seed: int, trouble: float) -> None:
    live(3000 + seed, trouble, allowance=Allowance(3, seed % 3 * 4 * MEMORY or None))


@pytest.mark.parametrize("seed", worlds(60))
def test_mistakes_of_our_own_hang_nothing(seed: int) -> None:
    live(1000 + seed, trouble=0.02, mistakes=0.03)


@pytest.mark.parametrize("seed", worlds(200))
def test_what_is_handed_over_or_planned_anew_runs_once(seed: int) -> None:
    random = Random(2000 + seed)
    universe = random_universe(random)
    universe.poison.clear(), universe.raising.clear(), universe.scattered.clear()
    for key, node in universe.tasks.items():
        reads = [read for read in node.dependencies if read in universe.tasks]
        universe.tasks[key] = type(node)(dict.fromkeys(reads).keys())
    world = World(random, universe)
    world.is_calm = True
    tasks = [key for key in universe.tasks if key not in universe.literals]
    # One graph: a later one would need values again that stood inside of shards.
    world.submit(random.sample(tasks, min(len(tasks), random.randint(1, 6))), [])
    for _ in range(150):
        steps = (world.take, world.dask.settle, world.plan, world.send, world.run, world.look)
        mending = (world.ask, world.ask, world.withdraw, world.mend)
        random.choice((*steps, *steps, *mending))()
    world.come_to_rest()
    world.check_answers()
    # What was taken back may have started, though nobody knew that yet.
    jobs = (job for job in world.jobs.jobs.values() if not job.is_terminated)
    ran = sum((job.ran for job in jobs), Counter[Key]())
    assert {key: times for key, times in ran.items() if times > 1} == {}
