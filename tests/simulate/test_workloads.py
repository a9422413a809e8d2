"""Workloads have the counts that they promise, and the same seed makes the same ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.shapes import Shape, costs
from benchmarks.simulate.workloads import WORKLOADS, tiny_tasks
from benchmarks.simulate.world import Workload

#: What takes a moment to make is left out: the million tasks, and the largest arrays.
QUICK = [name for name in WORKLOADS if name != "tiny"]


def make(name: str, slots: int = 16, seed: int = 1) -> Workload:
    return WORKLOADS[name](slots, seed)


@pytest.mark.parametrize("name", QUICK)
def test_all_tasks_have_seconds_and_sizes(name: str) -> None:
    work = make(name)
    graph = work.graph
    assert work.name == name
    assert work.seconds.keys() == graph.tasks.keys() - graph.literals
    assert work.seconds.keys() <= work.nbytes.keys()
    assert work.reads.keys() <= work.seconds.keys()
    assert min(work.seconds.values()) > 0
    assert {*graph.wanted} <= {*graph.tasks}


@pytest.mark.parametrize("name", QUICK)
def test_inputs_come_before_what_reads_them(name: str) -> None:
    shape = Shape(make(name), Numbers())
    place = {key: number for number, key in enumerate(shape.order())}
    assert place.keys() == shape.inputs.keys()
    assert all(place[one] < place[key] for key in place for one in shape.inputs[key])
    level = {key: number for number, keys in enumerate(shape.levels()) for key in keys}
    assert all(level[one] < level[key] for key in level for one in shape.inputs[key])


def test_arguments_are_given_by_the_client() -> None:
    assert {*Shape(make("sorted"), Numbers()).given.values()} == {120}
    assert {*Shape(make("arguments"), Numbers()).given.values()} == {1_000_120}


@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_makes_the_same_work(name: str) -> None:
    first = make(name)
    assert [*first.seconds.values()] == [*make(name).seconds.values()]
    assert [*first.seconds.values()] != [*make(name, seed=2).seconds.values()]


def test_hashes_decide_nothing(project: Path) -> None:
    program = (
        "from benchmarks.simulate.policies import run_policy\n"
        "from benchmarks.simulate.workloads import WORKLOADS\n"
        "from benchmarks.simulate.world import World\n"
        "for who in ('ours', 'lithops'):\n"
        "    print(run_policy(who, WORKLOADS['rechunk'](16, 1), World(slots=16)))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=project,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "makespan" in said.pop()


@pytest.mark.parametrize(
    ("name", "slots", "tasks"),
    [
        ("fig2-4096", 16, 4096),
        ("fig2-4096", 256, 4096),
        ("fig3-100", 16, 5),
        ("fig4-25", 4096, 25),
        ("sorted", 16, 200),
        ("sorted", 256, 3072),
        ("lognormal", 16, 400),
        ("pareto", 256, 2560),
        ("two-steps", 16, 80),
        ("two-steps", 4096, 800),
        ("arguments", 16, 200),
    ],
)
def test_counts(name: str, slots: int, tasks: int) -> None:
    assert len(make(name, slots).seconds) == tasks


def test_a_million_tiny_tasks_is_a_number() -> None:
    assert len(tiny_tasks(16, 0, count=500).seconds) == 500


def test_a_tenth_of_the_sorted_map_is_long_and_last() -> None:
    seconds = [*make("sorted").seconds.values()]
    assert seconds == sorted(seconds)
    assert sum(each > 300 for each in seconds) == 20


def test_the_heavy_tails_are_heavy() -> None:
    for name in ("lognormal", "pareto"):
        seconds = sorted(make(name).seconds.values())
        assert max(seconds) > 20 * seconds[len(seconds) // 2]


def test_costs_are_the_means_of_what_is_drawn() -> None:
    found = costs(make("two-steps"))
    assert found["look"] == (0.001, 0.0)
    mean, deviation = found["fit"]
    assert 980 < mean < 1020
    assert 30 < deviation < 70


def test_the_array_graphs_reduce_to_what_is_wanted() -> None:
    assert len(make("array-mean").graph.wanted) == 1
    assert len(make("climatology").graph.wanted) == 12
    assert len(make("rechunk").graph.wanted) == 64
