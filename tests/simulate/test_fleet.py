"""The physics of the simulated Batch, and what must hold whatever its numbers are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.instances import Instance, sizes_for
from benchmarks.simulate.jobs import FAILED, SUCCEEDED, Child, Phases
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.timeline import Timeline
from benchmarks.simulate.world import World

#: A world in which all is easy to add up.
PLAIN = Numbers(
    boot_shortest=100.0,
    boot_usual=100.0,
    boot_longest=100.0,
    image_bytes=70.0,
    pull_rate=1.0,
    scaling_interval=10.0,
    placement=3.0,
    dispatch_rate=1000.0,
    container_start=2.0,
    python_start=1.0,
    container_end=4.0,
    dependency=5.0,
    idle_longest=60.0,
)
#: A look, a boot, a place, an image, a container, a Python.
COLD = 10.0 + 100.0 + 3.0 + 70.0 + 2.0 + 1.0
WARM = 3.0 + 2.0 + 1.0


class Batch:
    """A fleet on a timeline of its own, and when children ended."""

    def __init__(self, slots: int = 8, spot: bool = False, **numbers: float) -> None:
        self.timeline = Timeline()
        world = World(replace(PLAIN, **numbers), slots=slots, spot=spot)
        self.fleet = Fleet(world, self.timeline)
        self.ends: dict[int, float] = {}
        self.starts: Counter[int] = Counter()

    def submit(self, size: int, seconds: float = 20.0, **more: Any) -> Any:
        """Submit children that run for so long."""
        return self.fleet.submit(size, lambda index: self._phases(index, seconds), **more)

    def _phases(self, index: int, seconds: float) -> Phases:
        self.starts[index] += 1
        return Phases(0.0, seconds, 0.0)

    def note(self, index: int, is_well: bool) -> None:
        """Note an end."""
        self.ends[index] = self.timeline.time()


def test_a_cold_start_takes_what_its_steps_take() -> None:
    batch = Batch()
    batch.submit(1, ended=batch.note)
    batch.timeline.run()
    assert batch.ends == {0: pytest.approx(COLD + 20.0 + 4.0)}


def test_a_warm_instance_boots_and_pulls_nothing() -> None:
    batch = Batch()
    first = batch.submit(1)
    batch.timeline.run(lambda: first.is_over)
    batch.submit(1, ended=batch.note)
    again = batch.timeline.time()
    batch.timeline.run()
    assert batch.ends == {0: pytest.approx(again + WARM + 20.0 + 4.0)}
    assert len(batch.fleet.instances) == 1


def test_a_queue_starts_children_at_a_finite_rate() -> None:
    batch = Batch(slots=64, dispatch_rate=2.0, image_bytes=1e-6)
    batch.submit(32, ended=batch.note)
    batch.timeline.run()
    assert max(batch.ends.values()) - min(batch.ends.values()) == pytest.approx(31 / 2.0)


def test_what_is_held_waits_until_it_is_released() -> None:
    batch = Batch()
    array = batch.submit(2, ended=batch.note, held=True)
    batch.timeline.run()
    assert batch.ends == {}
    batch.fleet.release(array, [1])
    batch.timeline.run()
    assert batch.ends == {1: pytest.approx(5.0 + COLD + 24.0)}


def test_idle_instances_end_and_are_paid_until_then() -> None:
    batch = Batch()
    batch.submit(1)
    batch.timeline.run()
    (instance,) = batch.fleet.instances
    # From its launch, ten seconds after the beginning, until it was idle for a minute.
    assert instance.ended == pytest.approx(COLD + 24.0 + 60.0)
    assert batch.fleet.paid() == pytest.approx(2 * (COLD + 24.0 + 60.0 - 10.0))


def test_a_minute_is_paid_at_least() -> None:
    instance = Instance(0, 4, launched=100.0, free=4, ended=110.0)
    assert instance.paid(PLAIN, end=200.0) == 4 * 60.0


@pytest.mark.parametrize(
    ("vcpus", "sizes"),
    [(0, []), (1, [2]), (2, [2]), (3, [2, 2]), (16, [16]), (100, [32, 32, 32, 4])],
)
def test_instances_are_as_large_as_what_waits(vcpus: int, sizes: list[int]) -> None:
    assert sizes_for(vcpus, PLAIN) == sizes


def test_terminated_children_fail_wherever_they_are() -> None:
    batch = Batch(slots=2)
    array = batch.submit(6, seconds=1000.0, ended=batch.note)
    batch.timeline.call_later(COLD + 50.0, batch.fleet.terminate, array, "why")
    batch.timeline.run()
    assert array.counts[FAILED] == 6
    assert {child.reason for child in array.children} == {"why"}
    assert sorted(batch.ends.values()) == pytest.approx([COLD + 50.0] * 4 + [COLD + 54.0] * 2)


def test_children_of_a_reclaimed_instance_start_again_elsewhere() -> None:
    batch = Batch(spot=True, reclaims=12.0, attempts=99)
    array = batch.submit(8, seconds=600.0)
    batch.timeline.run()
    assert array.counts[SUCCEEDED] == 8
    assert sum(batch.starts.values()) > 8
    assert batch.fleet.jobs == 8
    assert all(one.is_idle for one in batch.fleet.instances)  # nobody stays on one that is gone


def test_an_attempt_too_many_is_a_failure() -> None:
    batch = Batch(spot=True, reclaims=20.0, attempts=2)
    array = batch.submit(1, seconds=10_000.0)
    batch.timeline.run()
    (child,) = array.children
    assert (child.status, child.attempt) == (FAILED, 2)
    assert child.reason.startswith("Host EC2")


@given(
    slots=st.integers(1, 40),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    seconds=st.floats(0.1, 300.0),
    spot=st.booleans(),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_whatever_comes(
    slots: int, sizes: list[int], seconds: float, spot: bool, seed: int
) -> None:
    timeline = Timeline()
    fleet = Fleet(World(slots=slots, spot=spot, seed=seed), timeline)
    running: set[Child] = set()
    most = [0]

    class Watched(Phases):
        """Phases that are seen."""

        def start(self, child: Child) -> None:
            running.add(child)
            most[0] = max(most[0], sum(one.instance is not None for one in running))
            super().start(child)

    arrays = [fleet.submit(size, lambda index: Watched(0.0, seconds, 0.0)) for size in sizes]
    timeline.run()
    assert all(array.is_over for array in arrays)
    assert spot or all(array.counts[SUCCEEDED] == len(array.children) for array in arrays)
    assert most[0] <= slots + 1  # there is no smaller instance than one of two vCPUs
    assert fleet.paid() >= fleet.used
    assert all(one.is_idle and one.ended is not None for one in fleet.instances)
