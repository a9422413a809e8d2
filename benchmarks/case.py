"""One thing to time, on every peer that can do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from distributed import Client

from benchmarks.limits import Moves


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Parameters
    ----------
    name
        As given to ``--only`` and printed in the table.
    dask
        Does the work with a Dask client and checks the result; returns the seconds, if it is not
        the whole that is to be timed.
    pool
        Does the same with a process pool, where a pool can.
    moves
        The bytes that must move for it, where it is about bytes: what they alone take is the limit.
    once_on
        Names of peers for which this takes minutes: timed in the first round only.
    memory
        Bytes of memory that must be free for it.
    """

    name: str
    dask: Callable[[Client], float | None]
    pool: Callable[[Executor], float | None] | None = None
    moves: Moves | None = None
    once_on: frozenset[str] = frozenset()
    memory: int = 0


def map_case(
    name: str,
    function: Callable[..., Any],
    inputs: Iterable[Any],
    *,
    chunk: int = 1,
    once_on: frozenset[str] = frozenset(),
    **fixed: Any,
) -> Case:
    """Make a case of one function over many inputs; `chunk` is the pool's own `chunksize`."""
    inputs = list(inputs)

    def with_dask(client: Client) -> None:
        check(client.gather(client.map(function, inputs, pure=False, **fixed)))

    def with_pool(pool: Executor) -> None:
        check(list(pool.map(Fixed(function, fixed), inputs, chunksize=chunk)))

    def check(results: list[Any]) -> None:
        assert len(results) == len(inputs)

    return Case(name, with_dask, with_pool, once_on=once_on)


@dataclass(frozen=True)
class Fixed:
    """A function with some keywords fixed, as `Client.map` has it; the pool's `map` has not."""

    function: Callable[..., Any]
    keywords: dict[str, Any]

    def __call__(self, value: Any) -> Any:
        return self.function(value, **self.keywords)
