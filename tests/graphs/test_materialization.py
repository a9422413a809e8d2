"""A graph is opened while its client is in the midst of a property of another expression."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import pytest
from dask._expr import Expr
from dask._task_spec import DataNode
from distributed.protocol import Serialized, serialize, to_serialize

from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import open_graph
from dask_knot.planning import Resources

BOUNDS = Bounds(Resources(vcpus=2, memory=2**30, timeout=600), Resources(8, 2**33, 2))


class Mixed:
    """Brings a property to expressions, and is none."""

    @cached_property
    def divisions(self: Any) -> Any:
        return self.found()


class Divided(Expr):
    """Finds its divisions by computing another of its kind, or knows them."""

    _parameters = ["is_known"]  # noqa: RUF012

    @cached_property
    def divisions(self) -> Any:
        return self.found()

    def found(self) -> tuple[int, ...]:
        if self.operand("is_known"):
            return (0, 1)
        with ThreadPoolExecutor(1) as cluster:
            return cluster.submit(opened, type(self)(True)).result(timeout=10)  # type: ignore[no-any-return]

    def __dask_keys__(self) -> list[str]:
        return ["x"]

    def _layer(self) -> dict[str, Any]:
        return {"x": DataNode("x", self.divisions)}


class Inheriting(Divided):
    """Has its property from another kind."""


class MixedExpr(Mixed, Divided):
    """Has its property from what is no expression."""


def opened(expr: Expr) -> Any:
    """Open a graph as the cluster does, from its bytes, and return the value in it."""
    sent = Serialized(*serialize(to_serialize(expr)))
    return open_graph(sent, ["x"], {}, BOUNDS, Constants()).graph.tasks["x"]()  # type: ignore[operator]


@pytest.mark.parametrize("kind", [Divided, Inheriting, MixedExpr])
def test_a_graph_is_opened_while_a_property_of_its_kind_is_computed(kind: type[Divided]) -> None:
    assert kind(False).divisions == (0, 1)
