"""Earlier attempts of the same child: what they have committed isn't computed again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Commit, Kind, Output
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run
from dask_knot.run.work import ShardWork, Source


class EarlierParts(NamedTuple):
    """All that earlier attempts of a shard have left, and the number of the next part."""

    parts: Sequence[Commit]
    next_part: int


def read_parts(run: Run, shard: ShardId) -> EarlierParts | None:
    """Read the parts of a shard, or None if it is done; what can't be read is computed again."""
    parts = []
    next_part = 0
    for id in run.list_manifests([shard.stage]):
        if id.shard != shard or id.is_lost:
            continue
        if id.part is None:
            return None
        next_part = max(next_part, id.part + 1)
        try:
            parts.append(run.read_manifest(id))
        except (MissingObjectError, CorruptObjectError):
            continue
    return EarlierParts(parts, next_part)


def without_committed(work: ShardWork, parts: Iterable[Commit]) -> ShardWork:
    """Leave out the tasks whose outcomes are committed, and those that only they needed.

    Values and failures that are left out become inputs of the tasks that remain.
    """
    stored = {
        work.outputs[output.ordinal]: _source(part, output)
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


def _source(part: Commit, output: Output) -> Source:
    """Tell where a later attempt finds what an earlier one has committed."""
    data = part.inside(output.place)
    if output.kind is Kind.FINISHED or data is None:
        return output.place
    try:
        return Failure.decode(data)
    except CorruptObjectError:
        return output.place  # whoever reads it finds out, as with a value
