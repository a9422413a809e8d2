"""Reports of keys in memory: many in one message, and futures that can be pending again."""

from __future__ import annotations

import asyncio
import operator
from typing import Any

import pytest
from distributed import Client

from dask_knot.internals.reports import MANY_IN_MEMORY, hear_together, told_together


def of(key: str, type: bytes = b"int") -> dict[str, Any]:
    return {"op": "key-in-memory", "key": key, "type": type}


def together(keys: list[str], type: bytes = b"int") -> dict[str, Any]:
    return {"op": MANY_IN_MEMORY, "keys": keys, "type": type}


LOST = {"op": "lost-data", "key": "a"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([], []),
        ([of("a"), of("b")], [together(["a", "b"])]),
        (
            [of("a"), of("b", b"str"), of("c")],
            [together(["a"]), together(["b"], b"str"), together(["c"])],
        ),
        ([of("a"), LOST, of("a")], [together(["a"]), LOST, together(["a"])]),
        ([{"op": "key-in-memory", "key": "a"}] * 2, [{"op": "key-in-memory", "key": "a"}] * 2),
        ([LOST, LOST], [LOST, LOST]),
    ],
    ids=["nothing", "same-type", "types", "order", "no-type", "others"],
)
def test_what_is_said_of_keys_is_told_in_its_order(said: Any, told: Any) -> None:
    assert told_together(said) == told


def test_a_key_that_is_lost_is_awaited_again(threads_client: Client) -> None:
    """It was in memory before anybody waited, and has no event of its own until then."""
    with Client(threads_client.cluster, set_as_default=False) as client:
        hear_together(client)

        async def live() -> list[bool]:
            future, other = (client.submit(operator.neg, n, pure=False) for n in (1, 2))
            state, untouched = client.futures[future.key], client.futures[other.key]
            while not (state.done() and untouched.done()):
                await asyncio.sleep(0.001)
            assert not isinstance(state._event, asyncio.Event)
            await state.wait()
            seen = [state.done()]
            client._handle_lost_data(future.key)
            seen += [state.done(), untouched.done()]
            waiting = asyncio.ensure_future(state.wait())
            await asyncio.sleep(0)
            seen.append(waiting.done())
            client._stream_handlers[MANY_IN_MEMORY]([future.key, "unknown"], None)
            await waiting
            return [*seen, state.done(), future.status == "finished"]

        assert client.sync(live) == [True, False, True, False, True, True]
