"""Which tasks belong together: independent parts of a graph can be placed as one likes."""

from __future__ import annotations

from dask_knot.planning.graph import Graph


def find_components(graph: Graph, hubs: bytearray, fan_in: int) -> list[int]:
    """Label every task with its independent part of the graph.

    What only shares an input that is a hub counts as independent, and so does
    what only meets in a last task of more than ``fan_in`` inputs (the sum of many parts).
    """
    parents: list[int] = []
    labels: list[int] = []
    readers = graph.readers.sizes()
    for task, upstream in enumerate(graph.inputs):
        label = -1
        if len(upstream) <= fan_in or readers[task]:
            for made in upstream:
                if labels[made] != label and not hubs[made]:
                    label = _unite(parents, label, labels[made])
        if label < 0:
            label = len(parents)
            parents.append(label)
        labels.append(label)
    # Parents have lower labels, so one pass forward flattens every path.
    for label, parent in enumerate(parents):
        parents[label] = parents[parent]
    return [parents[label] for label in labels]


def _unite(parents: list[int], one: int, other: int) -> int:
    """Make two parts one and give its label: that of the earlier; -1 stands for no part."""
    while parents[other] != other:
        parents[other] = parents[parents[other]]
        other = parents[other]
    if one in (-1, other):
        return other
    low, high = (one, other) if one < other else (other, one)
    parents[high] = low
    return low
