"""What runs without a name leave of costs: one contract over every kind of store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import ReadOnlyStoreError
from dask_knot.run.almanac import ENOUGH_TASKS, MOST_COSTS, MOST_OBJECTS, Almanac, recent
from dask_knot.run.foundation import runs_in
from dask_knot.run.names import RUN_NAME
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.run.run import Run
from dask_knot.run.store import Store

F = ProfileKey("f", b"code")
FOLDER = "_costs/"


def profile(seconds: float, tasks: int = 1, prefix: str = "f") -> Profile:
    """Tell of tasks that took so long each."""
    costs = TaskCosts(tasks, tasks * seconds, tasks * seconds**2, seconds)
    return Profile({ProfileKey(prefix, b"code"): costs})


def almanac(store: Store, run: str = "a-run") -> Almanac:
    return Run(store, run).almanac


def test_nothing_is_known_at_first(store: Store) -> None:
    assert almanac(store).read() == Profile()


def test_what_a_run_writes_others_read(store: Store) -> None:
    first = almanac(store)
    first.write(1e9, profile(5.0))
    first.write(1e9, profile(3.0, tasks=2))  # in the place of what it wrote before
    almanac(store, "b-run").write(2e9, profile(6.0))
    assert len(store.list(FOLDER)) == 2
    with ThreadPoolExecutor(2) as readers:
        for found in (first.read(), first.read(readers)):
            assert found.costs[F].tasks == 3
            assert found.costs[F].mean == 4.0


def test_it_is_no_run_and_goes_with_none(store: Store) -> None:
    run = Run(store, "a-run")
    run.almanac.write(1e9, profile(5.0))
    assert runs_in(store) == []
    assert not any(map(RUN_NAME.fullmatch, store.list_level("")[0]))
    assert run.survey().objects == 0
    run.delete_all()
    assert almanac(store).read() == profile(5.0)


def test_what_is_no_profile_is_left_out_and_left_alone(store: Store) -> None:
    almanac(store).write(1e9, profile(5.0))
    name = f"{FOLDER}{int(2e9):012}-damaged"
    store.put(name, [b"nonsense"])
    store.put(f"{FOLDER}notes.txt", [b"mine"])
    assert almanac(store).read() == profile(5.0)
    assert len(store.list(FOLDER)) == 3


def test_many_become_one_and_say_the_same(store: Store) -> None:
    for number in range(MOST_OBJECTS + 1):
        almanac(store, f"run-{number}").write(1e9 + number, profile(number, prefix=f"p{number}"))
    reader = almanac(store, "reader")
    found = reader.read()
    assert len(found.costs) == MOST_OBJECTS + 1
    (name,) = store.list(FOLDER)
    assert name.startswith(f"{FOLDER}{int(1e9) + MOST_OBJECTS:012}-")
    assert reader.read() == found
    almanac(store, "later").write(3e9, profile(7.0))
    assert almanac(store).read().costs.keys() == {*found.costs, F}


class Sealed:
    """A store in which nobody may write."""

    def __init__(self, store: Store) -> None:
        self.list, self.get = store.list, store.get

    def put(self, name: str, parts: object) -> None:
        """Refuse it."""
        raise ReadOnlyStoreError(f"{name} can't be written")


def test_many_that_must_stay_are_read_all_the_same(store: Store) -> None:
    for number in range(MOST_OBJECTS + 1):
        almanac(store, f"run-{number}").write(1e9 + number, profile(number, prefix=f"p{number}"))
    sealed = cast(Store, Sealed(store))
    found = Almanac(sealed, Run(store, "reader").names).read()
    assert len(found.costs) == MOST_OBJECTS + 1
    assert len(store.list(FOLDER)) == MOST_OBJECTS + 1


def test_the_newest_tasks_count_when_there_are_enough() -> None:
    old, new = profile(1.0, ENOUGH_TASKS), profile(9.0, ENOUGH_TASKS)
    assert recent([new, old]) == new
    few = recent([profile(9.0), old]).costs[F]
    assert (few.tasks, few.longest) == (ENOUGH_TASKS + 1, 9.0)


def test_the_oldest_prefixes_go() -> None:
    old = Profile({ProfileKey(f"old-{n}", b""): TaskCosts(1, 1.0) for n in range(MOST_COSTS)})
    found = recent([profile(2.0), old])
    assert len(found.costs) == MOST_COSTS
    assert F in found.costs
    assert ProfileKey(f"old-{MOST_COSTS - 1}", b"") not in found.costs


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(1, 50)), min_size=1, max_size=10))
def test_as_long_as_there_is_not_enough_all_count(shards: list[tuple[float, int]]) -> None:
    found = recent(profile(seconds, tasks) for seconds, tasks in shards).costs[F]
    assert found.tasks == sum(tasks for _, tasks in shards)
    assert found.seconds == pytest.approx(sum(seconds * tasks for seconds, tasks in shards))
