"""The chaos suite itself: its parts, and a few of its graphs; `python -m tests.chaos` has all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dask_knot.errors import MissingObjectError, StoreError
from dask_knot.run.store import Store
from tests.chaos import edge, graphs
from tests.chaos.__main__ import chosen
from tests.chaos.crew import Member, compute
from tests.chaos.edge import Damage, Journal, Refuse
from tests.chaos.faults import FAULTS
from tests.chaos.run import Outcome
from tests.chaos.table import explained, table
from tests.chaos.tasks import TaskError

NAME = "run/data/00/0000000000-000-00000.000a1"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / "journal"
    folder.mkdir()
    yield Journal(folder)
    edge.remove()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def harmed(store: Store, journal: Journal, how: str) -> Store:
    """Write an object that is harmed meanwhile."""
    striking = (seed for seed in range(100) if edge._draw(seed, NAME) % 3)
    edge.install(journal, Damage(how, "data", next(striking), 1))
    store.put(NAME, [bytes(100)])
    return store


def test_a_flip_is_one_bit(store: Store, journal: Journal) -> None:
    written = harmed(store, journal, "flip").get(NAME)
    assert sum(int(byte).bit_count() for byte in written) == 1
    assert journal.struck == 1


def test_a_cut_object_is_shorter(store: Store, journal: Journal) -> None:
    assert len(harmed(store, journal, "cut").get(NAME)) < 100


def test_a_deleted_object_was_never_there(store: Store, journal: Journal) -> None:
    harmed(store, journal, "delete")
    with pytest.raises(MissingObjectError):
        store.get(NAME)


def test_a_fault_strikes_no_more_often_than_it_may(store: Store, journal: Journal) -> None:
    harmed(store, journal, "flip")
    store.put(NAME, [bytes(100)])
    assert bytes(store.get(NAME)) == bytes(100)


def test_a_full_store_says_so_and_takes_what_comes_later(store: Store, journal: Journal) -> None:
    edge.install(journal, Refuse(errno.ENOSPC, ("put",), 2, 3600.0))
    store.put(NAME, [b"first"])
    with pytest.raises(StoreError, match="No space left on device"):
        store.put(NAME, [b"second"])
    edge.install(journal, Refuse(errno.ENOSPC, ("put",), 2, 0.0))
    store.put(NAME, [b"third"])
    assert bytes(store.get(NAME)) == b"third"


@pytest.mark.parametrize("kind", graphs.KINDS)
def test_a_seed_gives_the_same_graph_again(kind: str) -> None:
    first, again = (graphs.attempt(graphs.make(7, kind=kind).expect) for _ in range(2))
    assert graphs.same(first, again)


def test_two_values_that_differ_in_one_bit_are_not_the_same() -> None:
    value = np.arange(10.0)
    other = value.copy()
    other[3] = np.nextafter(other[3], 4)
    assert graphs.same([value], [value.copy()])
    assert not graphs.same([value], [other])
    assert not graphs.same(value.astype("float32"), value)
    assert not graphs.same(ValueError("x"), TaskError("x"))


def test_faults_are_found_by_name_or_by_a_part_of_it() -> None:
    assert chosen(["kill"]) == ["kill"]
    assert chosen(["held data"]) == ["flip held data", "cut held data", "delete held data"]
    assert len(chosen([])) == len(FAULTS) >= 50
    with pytest.raises(SystemExit, match="no fault is called"):
        chosen(["flop"])


def test_the_table_marks_what_is_not_as_it_should_be() -> None:
    outcomes = [
        Outcome(1, "kill", "bag", "right", 1, 2.0),
        Outcome(2, "closed early", "bag", "typed", 1, 2.0),
        Outcome(3, "flip data", "bag", "typed", 1, 2.0, detail="CorruptObjectError"),
        Outcome(4, "none", "bag", "right", 0, 2.0, left=("process 7",)),
    ]
    marked = [row for row in table(outcomes).splitlines() if "(!)" in row]
    assert [row.split(" (!)")[0] for row in marked] == ["none", "flip data", "all"]
    assert "--seed 3 --only 'flip data'" in explained(outcomes)
    assert "process 7" in explained(outcomes)


@pytest.mark.parametrize("fault", ["none", "flip packs", "server killed", "client stops"])
def test_a_graph_under_a_fault(fault: str) -> None:
    (outcome,) = compute([(3, fault)], members=1)
    assert outcome.is_good, explained([outcome])


def test_what_hangs_is_told_and_ended() -> None:
    with closing(Member(deadline=0.0)) as member:
        outcome = member.run(1, "none")
        assert outcome.result == "hang"
        assert member._process is None


def test_what_dies_is_told() -> None:
    with closing(Member(deadline=60.0)) as member:
        member._process = member._start()
        member._process.kill()
        assert member.run(1, "none").result == "died"
