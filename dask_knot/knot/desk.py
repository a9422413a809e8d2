"""MapDesk: the maps of one session from their start to their end."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dask.typing import Key

from dask_knot.dashboard.mapbars import MapBars
from dask_knot.errors import CorruptObjectError, EngineError, MissingObjectError
from dask_knot.knot.feeder import Feeder
from dask_knot.knot.function import KnotFunction
from dask_knot.knot.future import MapFuture
from dask_knot.knot.host import SessionHost
from dask_knot.knot.items import MapItems, MapWork
from dask_knot.knot.ledger import read_places
from dask_knot.run.manifest import Place
from dask_knot.run.maps import MapRecord
from dask_knot.run.names import session_of
from dask_knot.session.outages import tolerate
from dask_knot.session.values import ValueReader

logger = logging.getLogger(__name__)

#: For so many seconds who leaves waits until all items are submitted, where jobs stay.
LONGEST_FEED = 600.0
#: After so many of them it says so.
PATIENCE = 2.0
#: Values that are read at once when the session is closed.
READERS = 8


class MapDesk:
    """Starts maps, and sees to their ends.

    Parameters
    ----------
    host : SessionHost
        Has the session.
    """

    def __init__(self, host: SessionHost) -> None:
        self._host = host
        host.feed = self._feed
        self._lock = threading.Lock()
        self._open: dict[str, _OpenMap] = {}
        self._bars: MapBars | None = None
        if host.session.settings.progress:
            self._bars = MapBars(host.session, host.loop)
        self._futures: weakref.WeakValueDictionary[str, MapFuture] = weakref.WeakValueDictionary()

    def start(
        self,
        function: KnotFunction,
        items: MapItems,
        starmap: bool,
        variables: Mapping[str, str],
        max_jobs: int | None,
    ) -> MapFuture:
        """Start a map; give its future."""
        record = self._claim(function, items, starmap, variables)
        name = record.name
        future = MapFuture(name, self._read)
        work = MapWork(name, function.func, starmap, variables)
        feeder = Feeder(self._host, work, future, items)
        with self._lock:
            self._futures[name] = future
            self._open[name] = _OpenMap(record, future, feeder)
        future.stopped = self._let_go
        future.add_progress_callback(self._look)
        if max_jobs is not None:
            self._host.limit(name, max_jobs)
        self._host.listen(name, future.take)
        if self._bars is not None:
            self._bars.begin(name, lambda: future.counts)
        feeder.start()
        return future

    def future(self, name: str) -> MapFuture | None:
        """Give the future of a map of this session, if somebody has it still."""
        return self._futures.get(name)

    def close(self, ends: bool) -> None:
        """Leave the run, or end its jobs; futures that aren't done say so, and nobody waits."""
        self._host.close(ends)
        with self._lock:  # not before: another thread may begin a map while items are submitted
            left = list(self._open.values())
        name = self._host.session.settings.name
        for one in left:
            one.future.fail(
                EngineError(
                    f"the knot was closed before {one.future.name} was done. Finished "
                    f"results are kept: Knot.open({name!r}).jobs has it"
                )
            )

    def _feed(self) -> None:
        """Wait until all items are submitted."""
        with self._lock:
            left = list(self._open.values())
        deadline = time.monotonic() + LONGEST_FEED
        for one in left:
            if not one.feeder.wait(PATIENCE):
                logger.warning(
                    "still submitting items of %s, for up to %s seconds; after that the "
                    "rest are left out",
                    one.future.name,
                    round(deadline - time.monotonic()),
                )
                one.feeder.wait(max(0.0, deadline - time.monotonic()))

    def _claim(
        self, function: KnotFunction, items: MapItems, starmap: bool, variables: Mapping[str, str]
    ) -> MapRecord:
        session = self._host.session
        record = MapRecord(
            name=session.settings.name,
            session=session_of(session.first_number),
            made=time.time(),
            items=items.count,
            function=function.name,
            code=function.code,
            starmap=starmap,
            variables=sorted(variables),
            pickle=function.pickle,
        )
        return session.run.record.maps.claim(record)

    def _look(self, future: MapFuture) -> None:
        """See whether a map is done."""
        with self._lock:
            one = self._open.get(future.name)
            if one is None or one.is_ending or not future.is_complete:
                return
            one.is_ending = True
        self._host.finish(lambda: self._complete(one))

    def _complete(self, one: _OpenMap) -> None:
        tolerate("a map could not be recorded", self._note_end, one)
        if self._bars is not None:
            self._bars.end(one.future.name)
        one.future.settle()

    def _note_end(self, one: _OpenMap) -> None:
        """Write down how many items there were, and which values others had made."""
        run, future = self._host.session.run, one.future
        maps = run.record.maps
        session = one.record.session
        names = run.names
        taken = future.places_outside(lambda name: names.session_of_data(name) == session)
        if len(taken):
            maps.write_taken(one.record.number, taken)
        error = "it was cancelled" if future.cancelled() else str(future.broken or "")
        items = one.record.items
        if items is None or error:
            items = len(future) if items is None else items
            maps.write(replace(one.record, items=items, error=error))

    def _let_go(self, future: MapFuture) -> None:
        """Let go of what a map has that is over."""
        with self._lock:
            one = self._open.pop(future.name, None)
        if one is not None and future.cancelled():
            self._host.finish(lambda: tolerate("a map could not be recorded", self._note_end, one))
        if self._bars is not None:
            self._bars.end(future.name, is_done=False)
        self._host.release(future.name, future.open_keys)
        self._host.limit(future.name, None)

    def _read(self, places: Mapping[Key, Place]) -> Mapping[Key, Any]:
        try:
            return self._read_anyhow(places)
        except (MissingObjectError, CorruptObjectError) as error:
            name = self._host.session.settings.name
            again = f"Knot({name!r}, func, reuse=False).map(items) computes it again"
            raise type(error)(f"{error}. {again}") from error

    def _read_anyhow(self, places: Mapping[Key, Place]) -> Mapping[Key, Any]:
        if not self._host.is_closed:
            with suppress(RuntimeError):  # it is being closed: its threads are gone
                return read_places(self._host.session.values, places)
        with ThreadPoolExecutor(READERS, "dask-knot-values") as pool:
            return read_places(ValueReader(self._host.session.run.at_once(), pool), places)


class _OpenMap:
    """A map that isn't done."""

    def __init__(self, record: MapRecord, future: MapFuture, feeder: Feeder) -> None:
        self.record = record
        self.future = future
        self.feeder = feeder
        self.is_ending = False
