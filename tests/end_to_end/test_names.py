"""Dask lets a graph hold a node under any name: what is asked for and read is found under it."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
from dask._task_spec import Alias, DataNode, Task, TaskRef
from distributed import Client
from distributed.client import FutureCancelledError
from hypothesis import HealthCheck, Phase, given, settings

from tests.graphs.nodes import RandomGraph, noted, random_graphs


def test_an_alias_is_wanted_that_is_called_as_its_target(client: Client) -> None:
    assert client.get({"d": DataNode("d", 7), "a": Alias("d")}, "a") == 7


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(graph=random_graphs())
def test_nodes_of_every_kind_under_every_name(client: Client, graph: RandomGraph) -> None:
    futures = client.get(graph.nodes, graph.persisted, sync=False)
    readers = {f"read-{future.key}": Task(None, noted, future) for future in futures}
    found = client.get(graph.nodes, graph.wanted)
    np.testing.assert_equal(found, list(dask.get(graph.nodes, graph.wanted)))
    read = [noted(value) for value in dask.get(graph.nodes, graph.persisted)]
    np.testing.assert_equal(client.get(readers, [*readers]), read)


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"there": 1},
        {"there": DataNode("lacks", 1)},
        {"there": Alias("there", "nowhere")},
        {"lacks": Alias("lacks", "lacks")},
        {"lacks": Alias("lacks", "nowhere")},
        {"there": 1, "lacks": Task("lacks", abs, TaskRef("nowhere"))},
    ],
    ids=str,
)
def test_a_wanted_key_that_its_graph_lacks_errs_at_once(client: Client, graph: Any) -> None:
    (lacks,) = client.get(graph, ["lacks"], sync=False)
    with pytest.raises(FutureCancelledError, match="lost dependencies"):
        lacks.result(timeout=20)
