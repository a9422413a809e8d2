"""What shards read of others is counted as the plan's shards say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.utils import key_split
from hypothesis import given, settings

from dask_knot.planning import Cost, Limits, PlanRequest
from dask_knot.planning.crossings import Crossings, Window
from dask_knot.planning.graph import build_graph
from dask_knot.planning.partition import partition
from dask_knot.planning.shards import ShardBuilder

from .test_properties import requests


@settings(max_examples=100, deadline=None)
@given(requests())
def test_crossings_are_what_shards_read(asked: PlanRequest) -> None:
    asked = replace(asked, costs={**asked.costs, "load": Cost(1.0)})
    graph = build_graph(asked)
    cut = partition(graph, asked.limits)
    crossings = Crossings(graph, cut)
    builder = ShardBuilder(graph, cut)

    def seconds(key: object) -> float:
        known = asked.nbytes.get(key_split(key), 0.0)
        return asked.external_nbytes.get(key, known) / asked.limits.bandwidth  # type: ignore[call-overload,no-any-return]

    shards = [builder.shard(number) for number in range(len(cut.loads))]
    for shard, found in zip(shards, crossings.seconds, strict=True):
        assert found == pytest.approx(sum(map(seconds, shard.inputs)))
    window = Window(crossings)
    inside, read = set[object](), set[object]()
    for number in range(len(cut.levels) - 1, -1, -1):
        window.extend(number)
        for block in cut.levels[number]:
            for shard in (shards[one] for one in block.shards):
                inside |= {*shard.tasks}
                read |= {*shard.inputs}
        assert window.seconds == pytest.approx(sum(map(seconds, read - inside)), abs=1e-6)


def test_nothing_is_looked_at_where_nothing_is_known() -> None:
    tasks = {"a-0": (), "a-1": (), "b-0": ["a-0", "a-1"]}
    asked = PlanRequest(tasks, ["b-0"], Limits(2), nbytes={"a": 1e9})
    graph = build_graph(asked)
    assert not any(Crossings(graph, partition(graph, asked.limits)).seconds)
