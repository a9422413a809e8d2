"""Stand-ins for `distributed.utils_test`: its tests get a client of the cluster that is there."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import dask
import pytest
from distributed import Client, utils_test
from distributed.utils import LoopRunner

from tests.conformance.peers import Peer

#: What a test makes or reaches that isn't the client's.
OTHERS = {"LocalCluster", "SpecCluster", "Scheduler", "Worker", "Nanny", "popen", "get_worker"}
#: Fixtures that bring a client.
CLIENTS = {"c", "client", "client_secondary", "s", "cluster_fixture"}
#: Words of tests after which a cluster isn't as it was: plugins and names stay in its scheduler.
LASTING = re.compile("plugin|publish|dataset|upload|restart|shutdown|Semaphore|scale")


class Elsewhere(dict[str, str]):
    """What a test is told of a worker: nothing, there is none to reach."""

    def __missing__(self, key: str) -> str:
        pytest.skip("reaches a worker itself")


def concerns_clusters(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a test as one that a cluster is made for."""
    test.__dict__["concerns_clusters"] = True
    return test


def is_of_distributed(item: pytest.Item) -> bool:
    """Whether a test opens its clients itself, with the tools of distributed."""
    return hasattr(item.module, "gen_cluster")  # type: ignore[attr-defined]


def leaves_something(item: pytest.Item) -> bool:
    """Whether a test of distributed, by its words, leaves in a scheduler what others would see."""
    return is_of_distributed(item) and LASTING.search(inspect.getsource(item.function)) is not None  # type: ignore[attr-defined]


def is_wanted(item: pytest.Function) -> bool:
    """Whether a test is Dask's, or one of distributed that asks for a cluster or a client."""
    if not is_of_distributed(item):
        return True
    if CLIENTS & set(item.fixturenames) or hasattr(item.function, "concerns_clusters"):
        return True
    return "cluster(" in inspect.getsource(item.function)


def reason_to_skip(test: Callable[..., Any], objects: int) -> str | None:
    """Say why a test needs more than a client, from its source.

    Parameters
    ----------
    test : callable
    objects : int
        How many of its first arguments are the scheduler and the workers, after the client.
    """
    filled = inspect.signature(test).bind_partial(*[None] * (1 + objects)).arguments
    parameters = list(filled)[1:]
    tree = ast.parse(textwrap.dedent(inspect.getsource(test)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    names = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    if names & set(parameters):
        return "reaches the scheduler or a worker itself"
    if names & OTHERS:
        return "makes or reaches " + ", ".join(sorted(names & OTHERS))
    return None


def replace(peer: Peer) -> None:
    """Put the stand-ins in place; the modules of tests must not be imported yet."""

    def gen_cluster(
        nthreads: Any = None, *args: Any, client: bool = False, timeout: float = 30, **others: Any
    ) -> Callable[[Any], Any]:
        objects = 1 + (2 if nthreads is None else len(nthreads))

        def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
            why = reason_to_skip(test, objects) if client else "has no client"
            if nthreads == []:
                why = why or "wants a cluster without workers"

            async def run(**fixtures: Any) -> None:
                settings = others.get("client_kwargs") or {}
                with dask.config.set(others.get("config") or {}):
                    async with Client(peer.address, asynchronous=True, **settings) as own:
                        # The objects aren't touched: `why` has looked.
                        ran = test(own, *[None] * objects, **fixtures)
                        await asyncio.wait_for(ran, timeout)

            @functools.wraps(test)
            @concerns_clusters
            def synchronous(**fixtures: Any) -> None:
                if why:
                    pytest.skip(why)
                asyncio.run(run(**fixtures))

            signature = inspect.signature(test)
            filled = signature.bind_partial(*[None] * (client + objects)).arguments
            fixtures = [p for name, p in signature.parameters.items() if name not in filled]
            synchronous.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
            return synchronous

        return decorate

    def gen_test(*args: Any, **others: Any) -> Callable[[Any], Any]:
        return pytest.mark.skip(reason="makes its own cluster")

    @contextlib.contextmanager
    def cluster(*args: Any, **others: Any) -> Iterator[Any]:
        yield {"address": peer.address}, [Elsewhere(), Elsewhere()]

    @contextlib.contextmanager
    def clean(**others: Any) -> Iterator[None]:
        yield

    for stand_in in (gen_cluster, gen_test, cluster, clean):
        setattr(utils_test, stand_in.__name__, stand_in)
    for name, fixture in fixtures(peer).items():
        setattr(utils_test, name, fixture)


def fixtures(peer: Peer) -> dict[str, Any]:
    """Return the fixtures of the same names as in `distributed.utils_test`."""

    @pytest.fixture
    def cleanup() -> None:
        """Leave the configuration alone: the original wipes what an open cluster has set."""

    @pytest.fixture
    def loop() -> Iterator[Any]:
        """Give one that runs in a thread, without a look at what the test leaves there."""
        runner = LoopRunner()
        runner.start()
        yield runner.loop
        runner.stop()

    @pytest.fixture
    def s() -> dict[str, str]:
        return {"address": peer.address}

    @pytest.fixture
    def a() -> Elsewhere:
        return Elsewhere()

    @pytest.fixture
    def client(loop: Any) -> Iterator[Client]:
        with Client(peer.address, loop=loop) as own:
            yield own

    @pytest.fixture
    def client_secondary(loop: Any) -> Iterator[Client]:
        with Client(peer.address, loop=loop) as own:
            yield own

    return {
        "cleanup": cleanup,
        "loop": loop,
        "loop_in_thread": loop,
        "s": s,
        "a": a,
        "b": a,
        "client": client,
        "c": client,
        "client_secondary": client_secondary,
    }
