"""What is tried: parts of a graph, in sessions with the settings that measure something."""

from __future__ import annotations

import pytest
from dask._task_spec import DataNode, Task, TaskRef

from dask_knot.planning import Resources
from dask_knot.session.rehearsal import together
from dask_knot.session.trial import ROOMY, TrialRun, apart, part_of, roomy
from dask_knot.settings.settings import resolve
from dask_knot.tracking.events import Graph

GIB = 2**30


def graph() -> Graph:
    """Make a graph of two loads and what reads them, with a constant."""
    tasks = {
        "c": DataNode("c", 5),
        "load-1": Task("load-1", int, TaskRef("c")),
        "load-2": Task("load-2", int, TaskRef("c")),
        "sum-1": Task("sum-1", sum, TaskRef("load-1"), TaskRef("load-2")),
    }
    sizes = {"load-1": Resources(2), "sum-1": Resources(4)}
    return Graph(tasks, ["sum-1"], {"c"}, resources=sizes, digests={"load-1": b"1", "sum-1": b"2"})


def test_a_part_wants_all_that_is_tried_and_has_the_constants() -> None:
    part = part_of(graph(), ["load-1"])
    assert [*part.tasks] == ["c", "load-1"]
    assert part.wanted == ["load-1"]
    assert part.literals == {"c"}
    assert part.resources == {"load-1": Resources(2)}
    assert part.digests == {"load-1": b"1"}


def test_on_this_machine_jobs_are_as_usual() -> None:
    settings = resolve({"jobs": 4, "memory": "1 GiB", "memory_retries": 3})
    found = roomy(settings, Resources(4, 8 * GIB))
    assert (found.jobs, found.cores, found.memory) == (4, 1, GIB)
    assert not found.is_named
    assert found.name != settings.name
    more = roomy(settings, Resources(4, 3 * GIB), cores=4)
    assert (more.jobs, more.cores, more.memory) == (1, 4, 3 * GIB)


@pytest.mark.parametrize(("most", "memory"), [(None, ROOMY), (4 * GIB, 4 * GIB)])
def test_on_aws_jobs_are_roomy(most: int | None, memory: int) -> None:
    found = roomy(resolve({"engine": "aws", "jobs": 8}), Resources(64, most))
    assert found.memory == memory


def test_a_named_run_is_tried_in_itself_but_not_what_ran_there() -> None:
    settings = resolve({"name": "mine", "cores": "auto", "estimate": 3})
    found = roomy(settings, Resources(4))
    assert (found.name, found.is_named, found.estimate, found.auto) == ("mine", True, None, set())
    again = apart(found)
    assert (again.name, again.is_named) == ("mine-again", False)


def test_trials_have_what_was_seen() -> None:
    run = TrialRun(seconds={"a": 1.0, "b": 2.0}, peaks={"a": 7})
    assert [(one.key, one.seconds, one.peak) for one in run.trials()] == [
        ("a", 1.0, 7),
        ("b", 2.0, 0),
    ]


def test_graphs_that_come_one_after_another_are_one() -> None:
    first = graph()
    second = Graph(
        {"x": Task("x", int, TaskRef("sum-1"), TaskRef("y"))}, ["x"], external=["sum-1", "y"]
    )
    both = together([first, second])
    assert [*both.tasks] == [*first.tasks, "x"]
    assert both.wanted == ["sum-1", "x"]
    assert both.external == ["y"]
    assert both.literals == {"c"}
    assert together([first]) is first
