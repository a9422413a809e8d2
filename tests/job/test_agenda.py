"""What a shard gives up: as much as others could run, and nothing that it needs itself."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from dask.typing import Key
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.internals import GraphNode
from dask_knot.job.agenda import Agenda

from .runs import ref, task


class Moment(NamedTuple):
    """A shard in the midst of its work: tasks, how many have begun, and what came of those."""

    tasks: list[GraphNode]
    begun: int
    running: set[int]
    failed: set[int]
    stuck: set[int]


def nodes(*reads: str) -> list[GraphNode]:
    """Make a task for each text, named by its first letter, that reads those of the others."""
    return [task(text[0], max, *map(ref, text[1:])) for text in reads]


@st.composite
def moments(draw: st.DrawFn) -> Moment:
    """Draw a shard; a task begins only when all that it reads has ended."""
    size = draw(st.integers(1, 9))
    reads = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)]
    tasks = [task(n, max, *map(ref, sorted(read))) for n, read in enumerate(reads)]
    begun = draw(st.integers(0, size))
    some = st.sets(st.integers(0, max(begun - 1, 0))) if begun else st.just(set[int]())
    running = {n for n in draw(some) if not any(n in read for read in reads[:begun])}
    ended = set(range(begun)) - running
    return Moment(tasks, begun, running, draw(some) & ended, draw(some) & ended)


def arranged(moment: Moment) -> Agenda:
    agenda = Agenda(moment.tasks)
    for node in moment.tasks[: moment.begun]:
        assert agenda.begin(node.key)
        if node.key not in moment.running:
            agenda.end(node.key, node.key in moment.failed)
    for key in moment.stuck:
        agenda.hold(key)
    return agenda


@given(moments())
def test_what_stays_needs_nothing_that_is_given_up(moment: Moment) -> None:
    given_up, reads = arranged(moment).foresee()
    gone = {node.key for node in given_up}
    assert not gone & set(range(moment.begun))
    for node in moment.tasks[moment.begun :]:
        if node.key not in gone:
            assert gone.isdisjoint(node.dependencies)
        else:
            assert moment.stuck.isdisjoint(node.dependencies)
    assert list(reads) == sorted({key for node in given_up for key in node.dependencies} - gone)
    if not moment.running | moment.failed | moment.stuck:
        assert gone == set(range(moment.begun, len(moment.tasks)))


@given(moments(), st.data())
def test_as_tasks_begin_less_is_given_up_and_nothing_else(
    moment: Moment, data: st.DataObject
) -> None:
    agenda = arranged(moment)
    before = {node.key for node in agenda.foresee().tasks}
    ended = set(range(moment.begun)) - moment.running
    ready = [n.key for n in moment.tasks[moment.begun :] if ended.issuperset(n.dependencies)]
    for key in data.draw(st.lists(st.sampled_from(ready), unique=True)) if ready else ():
        assert agenda.begin(key)
    assert {node.key for node in agenda.foresee().tasks} <= before


@given(moments())
def test_what_is_given_up_does_not_begin_until_it_is_taken_back(moment: Moment) -> None:
    agenda = arranged(moment)
    gone = agenda.give_up(lambda key: True)
    keys = [node.key for node in gone.tasks] if gone else []
    left = [n.key for n in moment.tasks[moment.begun :]]
    assert [key for key in left if agenda.begin(key)] == [k for k in left if k not in keys]
    assert [node.key for node in agenda.take_back()] == keys
    assert all(agenda.begin(key) for key in keys)
    assert not any(agenda.begin(node.key) for node in moment.tasks)


CASES: dict[str, tuple[list[GraphNode], dict[Key, str], list[Key], list[Key]]] = {
    "others beside one that runs": (nodes("a", "b", "c"), {"a": "runs"}, ["b", "c"], []),
    "what waits for it stays": (nodes("a", "ba", "cb", "d"), {"a": "runs"}, ["d"], []),
    "a sum needs what is given up": (nodes("a", "b", "cab"), {"a": "runs"}, ["b", "c"], ["a"]),
    "a value inside is read": (nodes("a", "ba", "ca"), {"a": "", "b": "runs"}, ["c"], ["a"]),
    "what reads a failure stays": (nodes("a", "ba", "c"), {"a": "failed"}, ["c"], []),
    "what can't leave keeps its readers": (
        nodes("a", "b", "cab", "d", "ed", "fce"),
        {"a": "stuck"},
        ["d", "e", "f"],
        ["c"],
    ),
    "all that is left": (nodes("a", "b", "cab"), {}, ["a", "b", "c"], []),
    "nothing is left": (nodes("a"), {"a": "runs"}, [], []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_given_up(case: str) -> None:
    tasks, states, expected, reads = CASES[case]
    agenda = Agenda(tasks)
    for key, state in states.items():
        agenda.begin(key)
        if state != "runs":
            agenda.end(key, state == "failed")
        if state == "stuck":
            agenda.hold(key)
    found = agenda.foresee()
    assert [node.key for node in found.tasks] == expected
    assert found.reads == reads


def test_nothing_is_given_up_that_makes_no_output() -> None:
    agenda = Agenda(nodes("a", "b"))
    assert agenda.give_up(lambda key: False) is None
    assert agenda.begin("a")


def test_what_is_given_up_from_the_start_comes_last() -> None:
    agenda = Agenda(nodes("a", "b", "c"), ["a"])
    assert [node.key for node in agenda.kept_first()] == ["b", "c", "a"]
    assert [key for key in "abc" if agenda.begin(key)] == ["b", "c"]
    assert [node.key for node in agenda.take_back()] == ["a"]
