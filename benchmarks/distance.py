"""A line with a delay to a server of this machine: `python -m benchmarks.distance HOST:PORT MS`.

What goes in at one end comes out at the other after half of the delay. As much is under way on one
connection as TCP takes by default: beyond that, whoever sends waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress

#: Bytes under way on one connection in one direction.
WINDOW = 4 * 2**20
CHUNK = 256 * 2**10


async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes until its end."""
    loop = asyncio.get_running_loop()
    line: deque[tuple[float, bytes]] = deque()
    changed = asyncio.Condition()
    under_way = 0

    def has_room() -> bool:
        return under_way < WINDOW

    async def take() -> None:
        nonlocal under_way
        data = b"more"
        while data:
            async with changed:
                await changed.wait_for(has_room)
            data = await source.read(CHUNK)
            async with changed:
                line.append((loop.time() + delay, data))
                under_way += len(data)
                changed.notify_all()

    async def give() -> None:
        nonlocal under_way
        data = b"more"
        while data:
            async with changed:
                await changed.wait_for(lambda: line)
                due, data = line.popleft()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if data:
                target.write(data)
                await target.drain()
            async with changed:
                under_way -= len(data)
                changed.notify_all()

    with suppress(OSError):
        await asyncio.gather(take(), give())
    target.close()


async def serve(host: str, port: int, seconds: float) -> None:
    """Serve, and print the address."""

    async def join(near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection(host, port, limit=CHUNK)
        both = (pass_on(near, far_writer, seconds / 2), pass_on(far, writer, seconds / 2))
        await asyncio.gather(*both)

    server = await asyncio.start_server(join, "127.0.0.1", limit=CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until the end."""
    host, _, port = sys.argv[1].partition(":")
    asyncio.run(serve(host, int(port), float(sys.argv[2]) / 1000))


if __name__ == "__main__":
    main()
