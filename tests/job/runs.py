"""Shards for tests: written as a submission writes them, run as a job runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dask._task_spec import GraphNode, Task, TaskRef
from dask.typing import Key

from dask_knot.job.console import Printout
from dask_knot.job.shard import run_shard
from dask_knot.run import codec
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind, Manifest
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import Options, ShardOutput, ShardWork, Source

FIRST, SECOND = StageId(0, 0), StageId(0, 1)


def shard(
    tasks: Sequence[GraphNode],
    outputs: Sequence[Key] | None = None,
    inputs: Mapping[Key, Source] | None = None,
    options: Options | None = None,
    literals: Sequence[GraphNode] = (),
) -> ShardWork:
    """Describe a shard; unless told otherwise all of its tasks are outputs."""
    keys = [node.key for node in tasks] if outputs is None else outputs
    return ShardWork(tasks, literals, inputs or {}, keys, options or Options())


def task(key: Key, function: Any, *arguments: Any) -> Task:
    """Make a task; arguments that are `ref`s are values of other tasks."""
    return Task(key, function, *arguments)


ref = TaskRef


class Rehearsal(Run):
    """A run whose shards run in this process, and whose store can be looked into."""

    def __init__(self, store: Store, name: str = "run") -> None:
        super().__init__(store, name)
        self.store = store

    def write(self, *works: ShardWork, stage: StageId = FIRST) -> None:
        """Write the pack of a stage."""
        self.write_pack(stage, works)

    def start(self, id: ShardId, attempt: int = 1, store: Store | None = None) -> None:
        """Run a shard whose pack was written."""
        run_shard(Run(store or self.store, self.name), id, attempt, Printout())

    def outcomes(self, content: ShardWork, stage: StageId = FIRST) -> dict[Key, Any]:
        """Write a stage of one shard, run it and read its outcomes."""
        self.write(content, stage=stage)
        self.start(ShardId(stage, 0))
        return self.read(content, ShardId(stage, 0))

    def manifest(self, id: ShardId, part: int | None = None) -> Manifest:
        """Read a manifest."""
        return self.read_manifest(ManifestId(id, part)).manifest

    def read(self, content: ShardWork, id: ShardId) -> dict[Key, Any]:
        """Read the outcomes of a shard: values, and Failures in their place."""
        found: dict[Key, Any] = {}
        for output in self.manifest(id).outputs:
            key = content.outputs[output.ordinal]
            assert key not in found
            data = self.read_value(output.place)
            is_error = output.kind is Kind.ERRED
            found[key] = Failure.decode(data) if is_error else codec.decode(data)
        return found

    def files(self, folder: str) -> list[Path]:
        """List the objects of a folder of this run."""
        return [Path(name) for name in self.store.list(f"{self.name}/{folder}")]


def made(content: ShardWork, id: ShardId) -> dict[Key, Source]:
    """Say of all outputs of a shard that they come from there."""
    return {key: ShardOutput(id, ordinal) for ordinal, key in enumerate(content.outputs)}
