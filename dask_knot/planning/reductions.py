"""Trees of joins whose length nobody knows: few stages for them, at a bounded risk.

A tree over 512 shards would be stages of 128, 32, 8, 2 and 1 shards with one short task each, and
every stage costs a job start. One shard for all of it would run 171 joins in a row, in place of 5.
Between them: shards of joins run a few in a row, and so several levels of the tree at once.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning.graph import NumberedGraph

# Values that a join of a tree reads at most: Dask's own trees have 4 (arrays) to 8 (frames). What
# reads more is likely to be the purpose of it all (a fit over a thousand files).
_MOST_INPUTS = 16
# Joins in a row: a tree over 512 shards is then 10 shards and one, 30 joins in place of 5 in a row
# but 3 stages less, which pays as long as a join takes less than a tenth of a job start. If joins
# take longer, their part of the plan is six times as long, and the shard that is stuck hands over
# the others. Where the shards before a tree run more tasks in a row, joins may run as many.
IN_A_ROW = 16
# Each level looks at the tasks behind it; beyond so many it stays wide, or time were not linear.
_MOST_LOOKED_AT = 100_000


def columns_of_joins(
    graph: NumberedGraph, opening: Sequence[int], hubs: bytearray, in_a_row: int, most: int
) -> int:
    """Give the columns that are enough for a level that opens with the joins of a tree.

    So many that each runs about ``in_a_row`` joins of unknown length in a row: always fewer than
    twice as many, so that what is left of a tree becomes one shard. What is no join of a tree may
    be long, and so may what ends one: each of these could have a column to itself.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks.
    opening : sequence of int
        Those that open the level.
    hubs : bytearray
        1 for tasks whose readers open a later level.
    in_a_row : int
        Joins that a column should run in a row.
    most : int
        The columns without this rule, which are given if it doesn't help.
    """
    trees = _Trees(graph, hubs)
    found = dict.fromkeys(opening)
    left = [*opening]
    joins = others = ends = 0
    while left:
        task = left.pop()
        readers = trees.readers(task)
        if trees.is_join(task):
            joins += 1
        elif not trees.follows(task, found):
            others += 1
        ends += not readers
        if max(ends, others, joins // in_a_row) >= most or len(found) > _MOST_LOOKED_AT:
            return most
        new = [reader for reader in readers if reader not in found]
        found.update(dict.fromkeys(new))
        left += new
    # Even cuts of a tree are where its branches end: 31 columns would tear many a pair apart.
    return min(most, max(1, ends, others, _next_power(joins // in_a_row)))


def _next_power(columns: int) -> int:
    return 1 << (columns - 1).bit_length() if columns > 1 else columns


class _Trees:
    def __init__(self, graph: NumberedGraph, hubs: bytearray) -> None:
        self._graph = graph
        self._hubs = hubs
        self._prefixes: dict[Key, str] = {}

    def readers(self, task: int) -> list[int]:
        """Give the tasks that read one, if they don't open a later level."""
        return [] if self._hubs[task] else self._graph.readers[task]

    def is_join(self, task: int) -> bool:
        """Tell whether a task joins few values and reads, or is read by, one that does as much.

        In trees joins read joins. What compares two files, or adds two arrays, is no such join.
        """
        inputs = self._graph.inputs[task]
        if not 2 <= len(inputs) <= _MOST_INPUTS:
            return False
        if not self._graph.unknown[task]:
            return False
        own = self._prefix(task)
        return any(self._prefix(other) == own for other in (*inputs, *self.readers(task)))

    def follows(self, task: int, found: Container[int]) -> bool:
        """Tell whether a task only goes on with one that is no join: they would run in turn."""
        return any(
            made in found and len(self._graph.readers[made]) == 1 and not self.is_join(made)
            for made in self._graph.inputs[task][:_MOST_INPUTS]
        )

    def _prefix(self, task: int) -> str:
        key = self._graph.keys[task]
        name = key[0] if type(key) is tuple and key else key
        if name not in self._prefixes:
            self._prefixes[name] = key_split(name)
        return self._prefixes[name]
