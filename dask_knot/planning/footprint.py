"""The values that a shard has at once: more than its job's memory is said before it runs.

Only what is known of sizes counts, and nothing of what tasks need besides: it is a lower bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dask.utils import format_bytes

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.request import Limits
from dask_knot.plural import many


class Footprint:
    """Tells what shards hold.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks; where nothing is known of any, nothing is told.
    limits : Limits
        Their bandwidth has turned bytes into seconds of reading.
    """

    def __init__(self, graph: NumberedGraph, limits: Limits) -> None:
        self._graph = graph
        self._is_mapped = limits.is_mapped
        bandwidth = limits.bandwidth
        self._sizes = [(seconds or 0.0) * bandwidth for seconds in graph.reading]
        self._beside: list[float] = []  # by task, once it was asked for
        outside = graph.external_reading
        self._outside = {key: (seconds or 0.0) * bandwidth for key, seconds in outside.items()}

    @property
    def is_known(self) -> bool:
        """Whether anything is known of sizes."""
        return bool(self._sizes)

    def exceeds(self, tasks: Sequence[int], memory: int | None) -> float:
        """Give the bytes that a shard has at once, if that is more than it may have; else 0.

        Parameters
        ----------
        tasks : sequence of int
            In running order.
        memory : int, optional
            What its job has; None if there is no bound.
        """
        if memory is None or not self._sizes or self._all(tasks) <= memory:
            return 0.0
        most = self._most(tasks)
        return most if most > memory else 0.0

    def _all(self, tasks: Sequence[int]) -> float:
        """Give what there would be if nothing were ever given back."""
        if not self._beside:
            self._beside = self._with_inputs()
        return sum(map(self._beside.__getitem__, tasks))

    def _with_inputs(self) -> list[float]:
        """Give, by task, the bytes of its value and of all that it reads."""
        sizes = self._sizes
        found = [
            size + sum(map(sizes.__getitem__, upstream)) if upstream else size
            for size, upstream in zip(sizes, self._graph.inputs, strict=True)
        ]
        for task, keys in self._graph.external.items():
            found[task] += sum(map(self._outside.__getitem__, keys))
        return found

    def _most(self, tasks: Sequence[int]) -> float:
        """Run the tasks one after another: a value is there from its task to its last reader."""
        inputs, sizes = self._graph.inputs, self._sizes
        readers = Counter(made for task in tasks for made in inputs[task])
        # What others have made is nothing that is held here if it is mapped.
        held = readers.keys() - {*tasks} if self._is_mapped else set()
        mapped = frozenset(held)
        now = most = 0.0
        for task in tasks:
            new = [made for made in inputs[task] if made not in held]
            held.update(new)
            outside = () if self._is_mapped else self._graph.external.get(task, ())
            beside = sum(self._outside[key] for key in outside)
            now += sum(sizes[made] for made in new) + sizes[task]
            held.add(task)
            most = max(most, now + beside)
            for value in inputs[task]:
                readers[value] -= 1
            for value in (*inputs[task], task):
                if value in held and value not in mapped and not readers[value]:
                    held.discard(value)  # what nobody here reads is written at once
                    now -= sizes[value]
        return most


def warning(stage: str, sizes: Sequence[float], memory: int) -> str:
    """Say that jobs of a stage may not have the memory for what they hold."""
    return (
        f"{many('job', len(sizes))} of stage {stage} will hold about "
        f"{format_bytes(int(max(sizes)))} of values in memory at once, with a limit of "
        f"{format_bytes(memory)}: allow more (memory=..., or dask.annotate(knot={{'memory': "
        "...})), or make chunks smaller"
    )
