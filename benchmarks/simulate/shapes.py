"""What follows from a workload: the order and levels of its tasks, and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev

from dask.typing import Key
from dask.utils import key_split

from benchmarks.simulate.network import read_seconds
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.world import Workload
from dask_knot.planning.adjacency import Adjacency, depth_first

#: Jobs of less than about a minute or two cost more to start than to run: AWS advises 3 to 5
#: minutes a job (https://docs.aws.amazon.com/batch/latest/userguide/best-practices.html).
SHORT_SECONDS = 60.0


class Shape:
    """A workload with everything that policies ask of it.

    Attributes
    ----------
    inputs : mapping of Key to list of Key
        The tasks whose values each task reads.
    given : mapping of Key to int
        The bytes that the client sends for each task: its arguments are constants of the graph.
    """

    def __init__(self, workload: Workload, numbers: Numbers) -> None:
        self.workload = workload
        self.numbers = numbers
        literals, nbytes = workload.graph.literals, workload.nbytes
        place = {key: number for number, key in enumerate(workload.graph.tasks)}
        self.inputs: dict[Key, list[Key]] = {}
        self.given: dict[Key, int] = {}
        for key, task in workload.graph.tasks.items():
            if key not in literals:
                # In the order of the tasks: that of a set differs from process to process.
                read = sorted(task.dependencies, key=place.__getitem__)
                self.inputs[key] = [one for one in read if one not in literals]
                arguments = sum(nbytes.get(one, 0) for one in read if one in literals)
                self.given[key] = int(numbers.packed_task) + arguments

    def seconds(self, key: Key) -> float:
        """Give the seconds that a task holds a slot, what it reads from S3 itself included."""
        read = self.workload.reads.get(key, 0)
        return self.workload.seconds[key] + (read_seconds(self.numbers, read) if read else 0.0)

    @property
    def work(self) -> float:
        """The vCPU-seconds of all tasks."""
        return sum(map(self.seconds, self.inputs))

    @property
    def is_short(self) -> bool:
        """Whether the usual task is over sooner than a job for it could start."""
        return self.work / len(self.inputs) < SHORT_SECONDS

    def order(self) -> list[Key]:
        """List the tasks depth-first from what is wanted: inputs before what reads them."""
        if not any(self.inputs.values()):
            return [*self.inputs]
        keys = [*self.inputs]
        number = {key: index for index, key in enumerate(keys)}
        inputs = Adjacency()
        for key in keys:
            inputs.append([number[one] for one in self.inputs[key]])
        starts = [number[key] for key in self.workload.graph.wanted if key in number]
        return [keys[index] for index in depth_first(starts, inputs.__getitem__, len(keys))]

    def levels(self) -> list[list[Key]]:
        """Group the tasks by the longest way to them from a task that reads nothing."""
        level: dict[Key, int] = {}
        for key in self.order():
            level[key] = 1 + max((level[one] for one in self.inputs[key]), default=-1)
        found: list[list[Key]] = [[] for _ in range(1 + max(level.values()))]
        for key, number in level.items():
            found[number].append(key)
        return found


def costs(workload: Workload) -> Mapping[str, tuple[float, float]]:
    """Give what an earlier run would have noted: by key prefix the mean seconds, and spread."""
    by_prefix: dict[str, list[float]] = {}
    for key, seconds in workload.seconds.items():
        by_prefix.setdefault(key_split(key), []).append(seconds)
    return {prefix: (fmean(drawn), pstdev(drawn)) for prefix, drawn in by_prefix.items()}
