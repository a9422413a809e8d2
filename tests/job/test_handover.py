"""A child that is asked gives up what it hasn't begun; the first claim says who runs that."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from dask._task_spec import DataNode
from dask.typing import Key
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind
from dask_knot.run.orders import Claimant
from dask_knot.run.store import Store
from dask_knot.run.work import Options, ShardWork
from tests.local.desk import wait_until

from .asked import ID, PLAY, quick_looks
from .runs import ref, shard, task

OPTIONS = Options(part_seconds=0)
WAYS = {
    "one by one": OPTIONS,
    "threads": replace(OPTIONS, cores=2),
}


@pytest.fixture(autouse=True)
def _begun(tmp_path: Path) -> Iterator[None]:
    PLAY.begin(tmp_path)
    with quick_looks():
        yield


def add(key: Key, *read: int) -> int:
    """Note that a task runs; its value shows all that it has read."""
    PLAY.note(key)
    return 1 + 2 * sum(read)


def fails(key: Key, *read: int) -> int:
    PLAY.note(key)
    raise LookupError(key)


def tree(*reads: str, outputs: str, function: Any = add) -> ShardWork:
    """Make a shard with a task for each text, as `reads` says what it reads."""
    tasks = [task(text[0], function, text[0], *map(ref, text[1:])) for text in reads]
    return shard(tasks, list(outputs), options=OPTIONS)


SUMS = tree("a", "ba", "ca", "da", "ebcd", outputs="de")


class TestOneTaskThatRuns:
    """a is inside, b asks, c and d haven't begun, e reads all of them."""

    @pytest.fixture(autouse=True)
    def _asked(self) -> None:
        PLAY.asking = "b"
        PLAY.run.write(SUMS)

    def test_a_client_runs_the_rest(self) -> None:
        PLAY.is_claimed = True
        assert PLAY.attempt()
        assert PLAY.ran == ["a", "b"]
        final, handed = PLAY.run.manifest(ID), PLAY.handed()
        assert final.handed is not None
        assert handed is not None
        assert (handed.outputs, handed.tasks) == ((0, 1), {"c": 1, "d": 1, "e": 1})
        assert list(handed.extra) == list(final.handed.extra) == ["a", "b"]
        assert [o.ordinal for o in final.outputs] == [2, 3]
        assert PLAY.run_handed(SUMS) == {"d": 3, "e": 1 + 2 * 9}
        assert sorted(map(str, PLAY.ran)) == list("abcde")

    def test_the_part_has_the_values_that_are_there(self) -> None:
        PLAY.is_claimed = True
        PLAY.attempt()
        told = [
            [output.ordinal for output in found.outputs]
            for number in range(len(PLAY.run.files("manifests/")) - 1)
            if (found := PLAY.run.manifest(ID, number)).handed is not None
        ]
        assert told == [[2]], "a, which b reads as well; b itself still ran"

    def test_without_a_client_it_is_taken_back(self) -> None:
        assert PLAY.attempt()
        assert PLAY.ran == ["a", "b", "c", "d", "e"]
        assert PLAY.handed() is not None
        final = PLAY.run.manifest(ID)
        assert final.handed is None
        assert [o.ordinal for o in final.outputs] == [0, 1]
        assert PLAY.own(SUMS) == {"d": 3, "e": 19}
        assert PLAY.run.claim(ID, Claimant.CLIENT) is Claimant.CHILD

    @pytest.mark.parametrize("is_claimed", [True, False])
    def test_what_was_handed_over_stays_so_in_a_later_attempt(self, is_claimed: bool) -> None:
        PLAY.is_claimed = is_claimed
        assert not PLAY.attempt(writes=1)  # the part, and no more
        assert PLAY.ran == ["a", "b"]
        assert PLAY.handed() is not None
        PLAY.asking = None
        assert PLAY.attempt(2)
        assert PLAY.run_handed(SUMS) == {"d": 3, "e": 19}
        assert Counter(PLAY.ran) == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}
        assert (PLAY.run.manifest(ID).handed is None) == (not is_claimed)

    def test_what_an_attempt_has_taken_back_a_later_one_runs(self) -> None:
        assert not PLAY.attempt(writes=4)  # two parts, the claim, and one part more
        assert PLAY.run.claim(ID, Claimant.CLIENT) is Claimant.CHILD
        assert PLAY.attempt(2)
        assert PLAY.run.manifest(ID).handed is None
        assert PLAY.own(SUMS) == {"d": 3, "e": 19}

    def test_it_hands_over_once(self) -> None:
        assert not PLAY.attempt(writes=1)
        assert PLAY.attempt(2)  # b asks again
        assert PLAY.handed() is not None, "and looks for another part that says so"
        assert PLAY.own(SUMS) == {"d": 3, "e": 19}


def test_nothing_that_can_be_given_up_is_no_part() -> None:
    content = tree("a", "ba", "cb", outputs="c")
    PLAY.asking = "b"
    PLAY.run.write(content)
    assert PLAY.attempt()
    assert PLAY.ran == ["a", "b", "c"]
    assert [path.name for path in PLAY.run.files("manifests/")] == ["00000.end", "00000.p000"]
    assert PLAY.handed() is None


def test_what_reads_a_failure_ends_here() -> None:
    tasks = [
        task("a", fails, "a"),
        task("b", add, "b"),
        task("c", add, "c", ref("a")),
        task("d", add, "d"),
    ]
    content = shard(tasks, ["b", "c", "d"], options=OPTIONS)
    PLAY.asking, PLAY.is_claimed = "b", True
    PLAY.run.write(content)
    assert PLAY.attempt()
    handed = PLAY.run.manifest(ID).handed
    assert handed is not None
    assert (handed.outputs, list(handed.extra)) == ((2,), [])
    found = PLAY.run_handed(content)
    assert isinstance(found["c"], Failure)
    assert (found["b"], found["d"]) == (1, 1)


def test_a_failure_that_something_handed_over_reads_goes_along() -> None:
    """c fails for its first input, but it needs what is given up, too."""
    tasks = [
        task("a", fails, "a"),
        task("b", add, "b"),
        task("d", add, "d"),
        task("c", add, "c", ref("a"), ref("d")),
    ]
    content = shard(tasks, ["b", "c"], options=OPTIONS)
    PLAY.asking, PLAY.is_claimed = "b", True
    PLAY.run.write(content)
    assert PLAY.attempt()
    final = PLAY.run.manifest(ID)
    assert {o.ordinal: o.kind for o in final.outputs} == {0: Kind.FINISHED, 2: Kind.ERRED}
    assert isinstance(PLAY.run_handed(content)["c"], Failure)


class Stuck:
    """Something that stays where it was made."""

    def __init__(self, key: Key) -> None:
        PLAY.note(key)

    def __reduce__(self) -> Any:
        raise TypeError("a connection stays where it is")


def uses(key: Key, stuck: Stuck, *read: int) -> int:
    assert isinstance(stuck, Stuck)
    return add(key, *read)


@pytest.mark.parametrize("outputs", ["cde", "acde"])
def test_readers_of_what_cannot_leave_stay_with_all_that_they_need(outputs: str) -> None:
    tasks = [
        task("a", Stuck, "a"),
        task("b", add, "b"),
        task("f", add, "f"),
        task("c", uses, "c", ref("a"), ref("f")),
        task("d", add, "d", ref("b")),
        task("g", add, "g"),
        task("e", add, "e", ref("c"), ref("g")),
    ]
    content = shard(tasks, list(outputs), options=OPTIONS)
    PLAY.asking, PLAY.is_claimed = "b", True
    PLAY.run.write(content)
    assert PLAY.attempt()
    assert PLAY.ran == list("abfcd")
    handed = PLAY.run.manifest(ID).handed
    assert handed is not None
    assert (handed.outputs, list(handed.extra)) == ((len(outputs) - 1,), [])
    assert {key: value for key, value in PLAY.run_handed(content).items() if key != "a"} == {
        "c": 3,
        "d": 3,
        "e": 1 + 2 * 4,
    }


def test_constants_inputs_and_arrays_need_nothing_extra_or_leave_whole() -> None:
    tasks = [
        task("a", np.arange, 50_000),
        task("b", add, "b"),
        task("c", np.add, ref("a"), ref("literal")),
    ]
    content = shard(tasks, ["b", "c"], options=OPTIONS, literals=[DataNode("literal", 7)])
    PLAY.asking, PLAY.is_claimed = "b", True
    PLAY.run.write(content)
    assert PLAY.attempt()
    found = PLAY.run_handed(content)
    np.testing.assert_array_equal(found["c"], np.arange(50_000) + 7)
    assert len(PLAY.run.files("data/")) == 2, "a, which is extra, and c"


def test_what_goes_on_in_processes_is_handed_over_as_well() -> None:
    """Values are in the process that asks; here a pool's task waits for a thread of the test."""
    options = Options(cores=2, processes=True, part_seconds=0)
    content = shard([task(n, _wait_for, str(PLAY.run.store.url), n) for n in range(6)], None, {})
    content = replace(content, options=options)
    PLAY.run.write(content)
    client = threading.Thread(target=_claim_soon)
    client.start()
    assert PLAY.attempt()
    client.join(30)
    handed = PLAY.run.manifest(ID).handed
    assert handed is not None
    assert list(handed.outputs) == [2, 3, 4, 5]
    assert PLAY.own(content) == {0: 0, 1: 1}


def _claim_soon() -> None:
    PLAY.is_claimed = True
    wait_until(lambda: len(PLAY.run.store.list("run/begun")) == 2)
    PLAY.ask()
    PLAY.run.store.put("run/claimed", [])


def _wait_for(url: str, number: int) -> int:
    """Wait, in another process, until a client has claimed; nobody could notify it."""
    store = Store(url)
    store.put(f"run/begun/{number}", [])
    wait_until(lambda: store.has("run/claimed"))
    return number


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ShardWork, dict[str, Any]]:
    """Draw a shard, and what happens to it."""
    size = draw(st.integers(2, 8))
    reads = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)]
    read = set().union(*reads)
    inside = draw(st.sets(st.sampled_from(sorted(read)))) if read else set()
    bad = draw(st.none() | st.integers(0, size - 1))
    tasks = [
        task(n, fails if n == bad else add, n, *map(ref, sorted(found)))
        for n, found in enumerate(reads)
    ]
    content = shard(tasks, [n for n in range(size) if n not in inside])
    options = draw(st.sampled_from([*WAYS.values()]))
    happens = {
        "asking": draw(st.integers(0, size - 1)),
        "is_claimed": draw(st.booleans()),
        "lives": draw(st.lists(st.integers(0, 9), max_size=2)),
    }
    return replace(content, options=options), happens


def expected(content: ShardWork, bad: set[Key]) -> dict[Key, int | None]:
    """Compute what a shard should give; None where it fails."""
    found: dict[Key, int | None] = {}
    for node in content.tasks:
        read = [found[key] for key in node.dependencies]
        is_bad = node.key in bad or None in read
        found[node.key] = None if is_bad else 1 + 2 * sum(value or 0 for value in read)
    return {key: found[key] for key in content.outputs}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(worlds())
def test_whatever_happens_each_output_is_made_once(world: tuple[ShardWork, dict[str, Any]]) -> None:
    content, happens = world
    with TemporaryDirectory() as folder:
        PLAY.begin(Path(folder))
        PLAY.asking, PLAY.is_claimed = happens["asking"], happens["is_claimed"]
        PLAY.run.write(content)
        attempts = [*happens["lives"], 1_000_000]
        for number, writes in enumerate(attempts, 1):
            if PLAY.attempt(number, writes):
                break
        handed, told = PLAY.run.manifest(ID).handed, PLAY.handed()
        event(f"told: {bool(told)}, in the end: {bool(handed)}, attempts: {number}")
        own = PLAY.own(content)
        gone = {content.outputs[ordinal] for ordinal in handed.outputs} if handed else set()
        assert own.keys() == set(content.outputs) - gone, "in one place each"
        found = PLAY.run_handed(content)
        bad = {node.key for node in content.tasks if node.func is fails}
        plain = {key: None if isinstance(v, Failure) else v for key, v in found.items()}
        assert plain == expected(content, bad)
        counts = Counter(PLAY.ran)
        assert max(counts.values()) <= number, "again only what was lost with a machine"
        assert handed is None or PLAY.run.claim(ID, Claimant.CHILD) is Claimant.CLIENT
