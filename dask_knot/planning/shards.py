"""Integers become keys again: the shards of a partition, and what each stage reads."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning.dependencies import Reading
from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.partition import Block, Partition
from dask_knot.planning.plan import Shard
from dask_knot.planning.request import PlanRequest


def split_blocks(cut: Partition, most: int) -> list[Block]:
    """Give the blocks of all levels in order, those of more than ``most`` shards split evenly."""
    return [
        Block(block.kind, part)
        for level in cut.levels
        for block in level
        for part in _split(block.shards, most)
    ]


def _split(shards: range, most: int) -> Iterator[range]:
    parts = -(-len(shards) // most)
    for part in range(parts):
        yield shards[len(shards) * part // parts : len(shards) * (part + 1) // parts]


class ShardBuilder:
    """Collects in one pass over the tasks what every shard runs, reads and gives away."""

    def __init__(self, graph: NumberedGraph, cut: Partition, is_ordered: bool = False) -> None:
        self._graph = graph
        self._cut = cut
        self._tasks: list[list[int]] = [[] for _ in cut.loads]
        # Dicts keep the order of arrival, as sets would not.
        self._inputs: list[dict[int, None]] = [{} for _ in cut.loads]
        self._readers: list[dict[int, list[int]]] = [{} for _ in cut.loads]  # of what a shard makes
        self._external: list[dict[Key, None]] = [{} for _ in cut.loads]
        self._literals: list[dict[Key, None]] = [{} for _ in cut.loads]
        self._is_wanted = bytearray(len(graph))
        for task in graph.wanted:
            self._is_wanted[task] = 1
        self._parts: list[list[int]] = [[] for _ in cut.loads]  # where parts of a shard begin
        self._is_ordered = is_ordered
        # Tasks of one prefix differ by more than they take on average.
        self._is_uneven = graph.unevenness * len(graph) > sum(graph.weights)
        self._collect()
        self._tasks = [self._in_order(number) for number in range(len(cut.loads))]
        self._collect_reads()

    def shard(self, number: int) -> Shard:
        """Make one shard, with keys in place of numbers."""
        keys = self._graph.keys
        names = tuple([keys[task] for task in self._tasks[number]])
        return Shard(
            tasks=names,
            inputs=(*(keys[made] for made in self._inputs[number]), *self._external[number]),
            outputs=tuple([keys[task] for task in self._outputs(number)]),
            literals=tuple(self._literals[number]),
            weight=self._cut.loads[number],
            prefixes=count_prefixes(names),
            unknown=self._cut.unknown[number],
        )

    def order(self, number: int) -> Sequence[int]:
        """Give the tasks of a shard in the order in which they run."""
        return self._tasks[number]

    def readings(self, blocks: Sequence[Block], request: PlanRequest) -> list[Reading]:
        """Find what the shards of each stage read, from which stages."""
        stage_of = [0] * len(self._cut.loads)
        for stage, block in enumerate(blocks):
            for shard in block.shards:
                stage_of[shard] = stage
        return [self._reading(block, blocks, stage_of, request) for block in blocks]

    def _reading(
        self, block: Block, blocks: Sequence[Block], stage_of: Sequence[int], request: PlanRequest
    ) -> Reading:
        reading = Reading(len(block.shards))
        for index, shard in enumerate(block.shards):
            for source in {self._cut.shard_of[made] for made in self._inputs[shard]}:
                stage = stage_of[source]
                reading.add(stage, source - blocks[stage].shards.start == index)
            for key in self._external[shard]:
                if (running := request.external[key]) is not None:
                    reading.external[running] = None
        return reading

    def _in_order(self, number: int) -> list[int]:
        """Put the tasks of a shard in the order in which they run."""
        tasks = self._tasks[number]
        if not self._is_ordered and (self._is_uneven or self._cut.unknown[number] > 1):
            return from_both_ends(tasks, self._parts[number])
        return tasks

    def _outputs(self, number: int) -> list[int]:
        """Order what leaves a shard by who reads it, and when; what is only wanted comes last.

        In this order it lies in one object: a shard that reads some of it reads one range. What
        several shards read lies between what they read alone.
        """
        readers = self._readers[number]
        read = sorted(readers, key=readers.__getitem__)
        is_wanted = self._is_wanted
        return read + [t for t in self._tasks[number] if is_wanted[t] and t not in readers]

    def _collect(self) -> None:
        shard_of = self._cut.shard_of
        for task, upstream in enumerate(self._graph.inputs):
            shard = shard_of[task]
            self._tasks[shard].append(task)
            parts = self._parts[shard]
            parts.append(task)
            for made in upstream:
                if shard_of[made] == shard:
                    while parts[-1] > made:
                        parts.pop()
        for found, into in (
            (self._graph.external, self._external),
            (self._graph.literals, self._literals),
        ):
            for task, keys in sorted(found.items()):
                into[shard_of[task]].update(dict.fromkeys(keys))

    def _collect_reads(self) -> None:
        """Note who reads what of others, in the order in which they do."""
        shard_of, upstream = self._cut.shard_of, self._graph.inputs
        for shard, tasks in enumerate(self._tasks):
            reads = self._inputs[shard]
            for task in tasks:
                for made in upstream[task]:
                    if shard_of[made] != shard and made not in reads:
                        reads[made] = None
                        self._readers[shard_of[made]].setdefault(made, []).append(shard)


def from_both_ends(tasks: Sequence[int], parts: Sequence[int]) -> list[int]:
    """Order the parts of a shard that read nothing of each other: the last, the first, and so on.

    Maps are often sorted, one way or the other. Tasks of unknown length that are alike should not
    all wait behind the others: what is long begins early, and what is short can be handed over.

    Parameters
    ----------
    tasks : sequence of int
        In running order.
    parts : sequence of int
        The tasks with which parts begin that read nothing of earlier ones.
    """
    if len(parts) < 3:
        return [*tasks]
    starts = [bisect_left(tasks, part) for part in parts]
    pieces = [tasks[start:stop] for start, stop in pairwise([*starts, len(tasks)])]
    half = len(pieces) // 2
    turns = zip_longest(reversed(pieces[half:]), pieces[:half], fillvalue=())
    return [task for pair in turns for piece in pair for task in piece]


def count_prefixes(keys: Iterable[Key]) -> dict[str, int]:
    """Count keys by their prefix (`dask.utils.key_split`), in the order of their first one.

    Splitting a key takes microseconds, so what only tells keys of one prefix apart goes before.
    """
    found: dict[str, int] = {}
    for name, count in Counter(map(_shortened, keys)).items():
        prefix = key_split(name)
        found[prefix] = found.get(prefix, 0) + count
    return found


def _shortened(key: Key) -> Key:
    """Give a shorter key of the same prefix, the same one for as many keys as possible."""
    if type(key) is tuple:
        return key[0] if key else ""
    if type(key) is not str:
        return key
    # A word that isn't of letters only ends the prefix: one is as good as any other.
    head, _, last = key.rpartition("-")
    if not head or last.isalpha():
        return key
    return head + "-0"
