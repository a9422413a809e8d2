"""What an earlier attempt of the same child has committed, so that it isn't computed again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run import manifest, names
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind, Manifest, Output
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from dask_knot.run.work import ShardWork, Source


class Part(NamedTuple):
    """A manifest that an earlier attempt has written, and the object it was read from."""

    manifest: Manifest
    data: memoryview

    def source(self, output: Output) -> Source:
        """Tell where a later attempt finds one of its outputs."""
        place = output.place
        if output.kind is Kind.FINISHED:
            return place
        try:
            return Failure.decode(self.data[place.offset :][: place.length])
        except CorruptObjectError:
            return place  # whoever reads it finds out, as with a value


class Begun(NamedTuple):
    """What earlier attempts of a shard have left, and the number of the next part."""

    parts: Sequence[Part]
    next_part: int


def read_parts(store: Store, run: str, shard: ShardId) -> Begun | None:
    """Read the parts of a shard, or None if it is done; what can't be read is computed again."""
    parts = []
    next_part = 0
    for name in store.list(names.of_stage(run, shard.stage)):
        try:
            found, part = names.parse_manifest(run, name)
        except ValueError:  # somebody else has put it there
            continue
        if found != shard:
            continue
        if part is None:
            return None
        next_part = max(next_part, part + 1)
        try:
            data = store.get(name)
            parts.append(Part(manifest.decode(name, data), data))
        except (MissingObjectError, CorruptObjectError):
            continue
    return Begun(parts, next_part)


def without_committed(work: ShardWork, parts: Iterable[Part]) -> ShardWork:
    """Leave out the tasks whose outcomes are committed, and those that only they needed.

    Values and failures that are left out become inputs of the tasks that remain.
    """
    stored = {
        work.outputs[output.ordinal]: part.source(output)
        for part in parts
        for output in part.manifest.outputs
    }
    nodes = {node.key: node for node in work.tasks}
    wanted = [key for key in work.outputs if key not in stored]
    needed: set[Key] = set()
    while wanted:
        key = wanted.pop()
        if key in nodes and key not in needed and key not in stored:
            needed.add(key)
            wanted.extend(nodes[key].dependencies)
    tasks = [node for node in work.tasks if node.key in needed]
    read = {key for node in tasks for key in node.dependencies}
    inputs = {key: source for key, source in {**work.inputs, **stored}.items() if key in read}
    return replace(work, tasks=tasks, inputs=inputs)
