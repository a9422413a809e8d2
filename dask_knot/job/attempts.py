"""Earlier attempts of the same child: what they have committed isn't computed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Commit, Handed, Kind, Output
from dask_knot.run.names import TWIN, ShardId
from dask_knot.run.run import Run
from dask_knot.run.work import ShardWork, Source


def is_twin(attempt: int) -> bool:
    """Tell whether an attempt is one of a twin.

    Whoever commits first supersedes the other one. Were that a part of the twin's, the child of the
    array would end before the shard is done, and what depends on the array would start. So a
    twin commits no part, only the end.
    """
    return attempt > TWIN


class EarlierParts(NamedTuple):
    """All that earlier attempts of a shard have left, and the number of the next part."""

    parts: Sequence[Commit]
    next_part: int

    @property
    def handed(self) -> Handed | None:
        """Tell what they have handed over: that stays so, until it is settled who runs it."""
        return next((p.manifest.handed for p in self.parts if p.manifest.handed), None)


NOTHING = EarlierParts((), 0)


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


def without_committed(work: ShardWork, earlier: EarlierParts) -> tuple[ShardWork, frozenset[Key]]:
    """Leave out the tasks whose outcomes are committed, and those that only they needed.

    Values and failures that are left out become inputs of the tasks that remain.

    Returns
    -------
    ShardWork
        What remains.
    frozenset of Key
        Which of its tasks are given up: only what was handed over needs them.
    """
    handed = earlier.handed or Handed((), {})
    keys = [*work.outputs, *handed.extra]
    stored = {
        keys[output.ordinal]: _source(part, output)
        for part in earlier.parts
        for output in part.manifest.outputs
        if output.ordinal < len(keys)  # or the part that tells what it is can't be read
    }
    gone = {keys[ordinal] for ordinal in handed.outputs}
    kept = _needed(work, (key for key in keys if key not in gone), stored)
    needed = kept | _needed(work, gone, stored)
    tasks = [node for node in work.tasks if node.key in needed]
    read = {key for node in tasks for key in node.dependencies}
    inputs = {key: source for key, source in {**work.inputs, **stored}.items() if key in read}
    return replace(work, tasks=tasks, inputs=inputs), frozenset(needed - kept)


def _needed(work: ShardWork, keys: Iterable[Key], stored: Mapping[Key, Source]) -> set[Key]:
    """Name the tasks that have to run so that there are values of some keys."""
    nodes = {node.key: node for node in work.tasks}
    wanted = [*keys]
    needed: set[Key] = set()
    while wanted:
        key = wanted.pop()
        if key in nodes and key not in needed and key not in stored:
            needed.add(key)
            wanted.extend(nodes[key].dependencies)
    return needed


def _source(part: Commit, output: Output) -> Source:
    """Tell where a later attempt finds what an earlier one has committed."""
    data = part.inside(output.place)
    if output.kind is Kind.FINISHED or data is None:
        return output.place
    try:
        return Failure.decode(data)
    except CorruptObjectError:
        return output.place  # whoever reads it finds out, as with a value
