"""Clients of clusters that are open here: they do many things together, and may ask by name."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client, Future

from dask_knot.cluster.newcomers import dask_setup, has_client
from dask_knot.cluster.process import overrides
from dask_knot.session.process import open_here


def cluster_of(is_named: bool, *clients: str, is_open: bool = True) -> Any:
    """Give what is known of a cluster: whether its run has a name, and who is connected."""
    scheduler = SimpleNamespace(clients=dict.fromkeys(clients)) if is_open else None
    return SimpleNamespace(settings=SimpleNamespace(is_named=is_named), scheduler=scheduler)


@pytest.mark.parametrize(
    ("cluster", "has_it"),
    [
        (cluster_of(True, "Client-0", "Client-1"), True),
        (cluster_of(True, "Client-0"), False),
        (cluster_of(False, "Client-1"), True),
        (cluster_of(True, is_open=False), False),
    ],
)
def test_a_client_is_told_from_those_of_others(cluster: Any, has_it: bool) -> None:
    assert has_client(cluster, "Client-1") is has_it


class Open(SimpleNamespace):
    """A cluster that is open in this process, and can be held weakly."""

    __hash__ = object.__hash__


@pytest.fixture
def named(threads_client: Client) -> Iterator[Any]:
    """Let a cluster of Dask's be taken for one of ours that holds a named run."""
    cluster: Any = Open(
        settings=SimpleNamespace(is_named=True), scheduler=threads_client.cluster.scheduler
    )
    open_here.add(cluster)
    overrides.acquire(0)
    yield cluster
    overrides.release()
    open_here.discard(cluster)


def test_dask_runs_it_for_each_client(threads_client: Client, named: Any) -> None:
    held = threads_client.submit(sum, [1, 2], key="three")
    assert held.result(timeout=10) == 3
    with Client(threads_client.cluster, set_as_default=False) as client:
        assert Future("three", client).result(timeout=10) == 3
    with Client(threads_client.scheduler.address, set_as_default=False) as client:
        assert Future("three", client).result(timeout=10) == 3


def test_it_is_run_for_clients_in_an_event_loop(threads_client: Client, named: Any) -> None:
    held = threads_client.submit(sum, [1, 2], key="three")
    assert held.result(timeout=10) == 3

    async def live() -> object:
        address = threads_client.scheduler.address
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            return await Future("three", client)

    assert threads_client.sync(live) == 3


def test_a_client_of_a_run_without_a_name_doesnt_ask(threads_client: Client, named: Any) -> None:
    held = threads_client.submit(sum, [1, 2], key="three")
    assert held.result(timeout=10) == 3
    named.settings.is_named = False
    with Client(threads_client.cluster, set_as_default=False) as client:
        silent = Future("three", client)
        dask_setup(client)
        assert client.submit(sum, [5]).result(timeout=10) == 5
        assert not silent.done()


@pytest.mark.parametrize("is_ours", [True, False])
def test_only_clients_of_ours_do_things_together(
    threads_client: Client, named: Any, is_ours: bool
) -> None:
    if not is_ours:
        open_here.discard(named)
    with Client(threads_client.cluster, set_as_default=False) as client:
        changed = {"_gather", "_send_to_scheduler"} & vars(client).keys()
    assert changed == ({"_gather", "_send_to_scheduler"} if is_ours else set())
