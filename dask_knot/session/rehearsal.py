"""A session that estimates instead of computing: `dask knot estimate SCRIPT` runs scripts with it.

Whatever would be submitted is kept. When nothing more has come for a while, the script waits for a
result: then all that was kept is estimated, the answer is printed, and the process ends. Whatever
the script would have done with results, it does nothing with values that aren't there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from dask.typing import Key

from dask_knot.estimates.forecast import Forecast
from dask_knot.run.exits import ESTIMATED, ESTIMATED_IN
from dask_knot.session.forecasting import forecast_of
from dask_knot.session.opening import open_session
from dask_knot.session.session import Session
from dask_knot.settings.settings import Settings
from dask_knot.tracking import events
from dask_knot.tracking.events import Graph

#: When nothing has come for so many seconds, somebody waits for what has.
QUIET = 1.0
_KEPT = (events.GraphSubmitted, events.GraphTaken, events.KeyAsked)


@dataclass(slots=True)
class Rehearsal(Session):
    """A session that submits nothing, and tells what all of it would have taken."""

    sample: int = 3
    finish: Callable[[int], None] = field(default=os._exit)
    _graphs: list[Graph] = field(default_factory=list)
    _arriving: int = 0
    _timer: asyncio.TimerHandle | None = None

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Take in what happened, but for what would be computed: that is kept."""
        passed = []
        for event in happened:
            if isinstance(event, events.ArrivalBegan | events.ArrivalEnded):
                self._arriving += 1 if isinstance(event, events.ArrivalBegan) else -1
                self._wait()
            if isinstance(event, events.GraphSubmitted):
                self._graphs.append(event.graph)
                self._wait()
            if not isinstance(event, _KEPT):
                passed.append(event)
        Session.handle(self, passed)

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._graphs and not self._arriving:
            self._timer = asyncio.get_running_loop().call_later(QUIET, self._begin)

    def _begin(self) -> None:
        self._driver.background(self._tell())

    async def _tell(self) -> None:
        code = 1
        try:
            forecast = await forecast_of(self, together(self._graphs), self.sample)
            print(forecast)  # noqa: T201
            note(forecast, os.environ.get(ESTIMATED_IN))
            code = ESTIMATED
        except Exception as error:
            print(f"it can't be estimated: {error}", file=sys.stderr)  # noqa: T201
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            await asyncio.to_thread(self._end)
            self.finish(code)

    def _end(self) -> None:
        self.let_go() if self.settings.is_named else self.end_jobs()
        self.end()


def note(forecast: Forecast, file: str | None) -> None:
    """Write down the numbers of an estimate for the command that goes on with them, if one does."""
    size = forecast.sizes.get(forecast.optimize)
    if file and size is not None and forecast.seconds is not None:
        numbers = {
            "vcpus": size.cores,
            "memory": size.memory,
            "hours": forecast.vcpu_seconds / size.cores / 3600,
            "jobs": forecast.jobs,
        }
        Path(file).write_text(json.dumps(numbers))


def open_as_configured(settings: Settings) -> Session:
    """Open a session, or one that estimates instead of computing, if the settings say so.

    Raises
    ------
    EngineError, AwsError, ConfigurationError, StoreError
        As `open_session`.
    """
    if settings.estimate is None:
        return open_session(settings)
    opened = open_session(settings)
    parts = {one.name: getattr(opened, one.name) for one in fields(opened)}
    return Rehearsal(**parts, sample=settings.estimate)


def together(graphs: Sequence[Graph]) -> Graph:
    """Make one graph of several that were submitted one after another."""
    first, *others = graphs
    if not others:
        return first
    tasks = {key: node for graph in graphs for key, node in graph.tasks.items()}
    wanted: dict[Key, None] = {key: None for graph in graphs for key in graph.wanted}
    external = {key: None for graph in graphs for key in graph.external if key not in tasks}
    return Graph(
        tasks,
        [*wanted],
        frozenset[Key]().union(*(graph.literals for graph in graphs)).difference(wanted),
        [*external],
        resources={key: one for graph in graphs for key, one in graph.resources.items()},
        seconds={key: one for graph in graphs for key, one in graph.seconds.items()},
        digests={key: one for graph in graphs for key, one in graph.digests.items()},
        codes={key: one for graph in graphs for key, one in graph.codes.items()},
        marks={key: one for graph in graphs for key, one in graph.marks.items()},
        components=first.components,
    )
