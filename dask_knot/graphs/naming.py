"""Nodes have the names under which their graph holds them: what reads them knows no other ones."""

from __future__ import annotations

from copy import copy

from dask.typing import Key

from dask_knot.internals import GraphNode


def named(key: Key, node: GraphNode) -> GraphNode:
    """Give a node the name under which its graph holds it.

    Dask lets a node be called anything: an alias as its target is, a container None, and one node
    may stand under several names.
    """
    if node.key is key or node.key == key:
        return node
    node = copy(node)  # with all of it: `substitute` of an alias leaves the name as it is
    node.key = key
    return node
