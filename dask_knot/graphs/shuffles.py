"""Graphs that shuffle between live workers, or through files of one machine: neither is here."""

from __future__ import annotations

from collections.abc import Collection

from dask.typing import Key

from dask_knot.errors import UnsupportedGraphError
from dask_knot.internals import GraphNode


def refuse_shuffles(nodes: Collection[GraphNode]) -> None:
    """Refuse a graph that shuffles.

    Raises
    ------
    UnsupportedGraphError
        With what to do instead.
    """
    if any(kind.__module__.startswith("distributed.shuffle") for kind in set(map(type, nodes))):
        raise UnsupportedGraphError(
            "this graph shuffles between live workers (P2P), and jobs are not live workers. "
            + _TASKS
        )
    if any(_is_shuffle_file(node.key) for node in nodes):
        raise UnsupportedGraphError(
            "this graph shuffles through files on the disk of one machine, and jobs may run on "
            "many. " + _TASKS
        )


def _is_shuffle_file(key: Key) -> bool:
    return type(key) is tuple and len(key) == 1 and str(key[0]).startswith(("partd-", "zpartd-"))


_TASKS = (
    "Build it while the KnotCluster is open, or with dask.config.set({"
    "'dataframe.shuffle.method': 'tasks', 'array.rechunk.method': 'tasks'})"
)
