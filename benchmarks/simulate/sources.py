"""Where the inputs of a shard are, and when they are there: what `dask_knot.job.inputs` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dask.typing import Key

from benchmarks.simulate.network import Traffic, read_seconds
from benchmarks.simulate.objects import SimulatedRun
from benchmarks.simulate.timetable import arrivals
from dask_knot.errors import MissingObjectError
from dask_knot.graphs.constants import LARGE
from dask_knot.run.layout import neighbors
from dask_knot.run.manifest import Kind, Output, Place
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.work import ConstantPlace, ShardOutput, ShardWork, Source


class Fetched(NamedTuple):
    """What becomes of the inputs of a shard.

    `there` says when each is; `nbytes` has those that come by themselves; `lost` the objects for
    want of which others never come; `begin` is when all manifests were read.
    """

    there: Mapping[Key, float]
    nbytes: Mapping[Key, int]
    lost: Mapping[Key, tuple[str, ...]]
    begin: float


def fetch(
    run: SimulatedRun, traffic: Traffic, work: ShardWork, sizes: Mapping[Key, int], begin: float
) -> Fetched:
    """Look up all inputs of a shard, and fetch them in their order; the requests are counted."""
    shards = sorted({s.shard for s in work.inputs.values() if isinstance(s, ShardOutput)})
    begin += _read_manifests(run, traffic, shards)
    there: dict[Key, float] = {}
    lost: dict[Key, tuple[str, ...]] = {}
    far: list[tuple[Key, Place]] = []
    for key, source in work.inputs.items():
        place = _place(run, source)
        if isinstance(source, ShardOutput) and place is None:
            lost[key] = (run.names.manifest(source.shard),)
        elif place is None or (
            isinstance(source, ShardOutput) and place.name == run.names.manifest(source.shard)
        ):
            there[key] = begin
        else:
            far.append((key, place))
    requests = [
        ([far[n][0] for n in group], sum(far[n][1].length for n in group))
        for group in neighbors([place for _, place in far])
    ]
    large = [node.key for node in work.literals if sizes.get(node.key, 0) >= LARGE]
    requests += [([key], sizes[key]) for key in large]
    for _, size in requests:
        traffic.get(size)
    there |= arrivals(run.numbers, begin, requests)
    nbytes = {key: place.length for key, place in far} | {key: sizes[key] for key in large}
    return Fetched(there, nbytes, lost, begin)


def _read_manifests(run: SimulatedRun, traffic: Traffic, shards: list[ShardId]) -> float:
    """Read the last manifests of shards; give the seconds that this takes."""
    nbytes = 0
    for shard in shards:
        try:
            nbytes += run.manifest_of(ManifestId(shard, None))[1]
        except MissingObjectError:
            continue
    traffic.get(nbytes, len(shards))
    return read_seconds(run.numbers, nbytes, len(shards))


def _place(run: SimulatedRun, source: Source) -> Place | None:
    """Tell where a value is; None if it is nowhere, and needn't be read."""
    if isinstance(source, ShardOutput):
        try:
            found: Output | None = run.outputs_of(source.shard).get(source.ordinal)
        except MissingObjectError:
            return None
        return found.place if found is not None and found.kind is Kind.FINISHED else None
    if isinstance(source, ConstantPlace):
        return source.place
    return source if isinstance(source, Place) else None
