"""Feeder: reads the items of a map in blocks, and submits each block while the next is read."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from dask_knot.collector import paused_collector
from dask_knot.errors import EngineError, InternalError
from dask_knot.knot.blocks import blocks, read_ahead
from dask_knot.knot.future import MapFuture
from dask_knot.knot.host import SessionHost
from dask_knot.knot.items import MapItems, MapWork

logger = logging.getLogger(__name__)


class Feeder:
    """Feeds one map.

    Parameters
    ----------
    host : SessionHost
        Takes its graphs.
    work : MapWork
        What is done with each item.
    future : MapFuture
        Is told of items, and of the end of them.
    items : MapItems
        The items.
    """

    def __init__(
        self, host: SessionHost, work: MapWork, future: MapFuture, items: MapItems
    ) -> None:
        self._host = host
        self._work = work
        self._future = future
        self._items = items
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read, in a thread that may wait for the user's iterable for ever."""
        name = f"dask-knot-{self._work.name}"
        self._thread = threading.Thread(target=self._feed, name=name, daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until all is submitted; tell whether it is."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _feed(self) -> None:
        error: BaseException | None = None
        try:
            self._submit_all()
        except EngineError:  # it is closed: whoever did that has told the future
            return
        except BaseException as raised:  # whatever ends this thread is to end the map as well
            error = InternalError.of(raised)
        self._future.end_items(error)
        with suppress(EngineError):
            self._host.soon(self._future.take, ())  # it may have been the last that was missing

    def _submit_all(self) -> None:
        number = 0
        check, items = self._items.check, self._items.items
        for block in blocks(items) if check is None else read_ahead(iter(items)):
            if check is not None:
                check.check(block, number)
            with paused_collector():
                graph = self._host.open(self._work.tasks(block, number), self._work.variables)
            if not self._future.expect(len(block)):
                return
            self._host.submit(graph)
            if self._future.done():  # somebody let go of its keys before it had these
                self._host.release(self._work.name, graph.wanted)
            number += len(block)
