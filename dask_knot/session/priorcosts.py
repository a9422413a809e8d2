"""The costs that runs without a name have left in a store: read once, beside the first graph.

A run with a name has a profile of its own, which says more; they are for what isn't in that.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from dask_knot.digests import CodeMarker
from dask_knot.run.almanac import Almanac
from dask_knot.run.profile import Profile
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.costs import recalled
from dask_knot.session.driver import Driver

logger = logging.getLogger(__name__)

#: For so many seconds a graph waits for them, and is planned in ignorance then.
LONGEST_WAIT = 5.0
#: Profiles that are read at once.
READS_AT_ONCE = 8


@dataclass(slots=True)
class PriorCosts:
    """What is known of costs in a store that outlives the runs in it.

    Attributes
    ----------
    almanac : Almanac
        Keeps them; without patience, as nothing depends on it.
    marker : CodeMarker
        Tells whether the code of tasks is that whose costs are known.
    driver : Driver
        Is told.
    clockwork : Clockwork
        Clock and threads.
    """

    almanac: Almanac
    marker: CodeMarker
    driver: Driver
    clockwork: Clockwork
    _reading: asyncio.Future[None] | None = field(default=None, init=False)
    _has_begun: bool = field(default=False, init=False)

    async def recall(self) -> None:
        """See to it that they are known before a graph is planned."""
        if not self._has_begun:
            self._has_begun = True
            self._reading = self.driver.background(self._recall())
        if self._reading is not None and not self._reading.done():
            await asyncio.wait([self._reading], timeout=LONGEST_WAIT)
            self._reading = None  # whether it has come to its end or not: no other graph waits

    async def _recall(self) -> None:
        pool = self.clockwork.executor("costs", 1)
        try:
            profile = await self.clockwork.run_in(pool, self._read)
        finally:
            pool.shutdown(wait=False)
        if profile.costs:
            self.driver.handle([recalled(profile)])

    def _read(self) -> Profile:
        readers = self.clockwork.executor("profiles", READS_AT_ONCE)
        try:
            return self.almanac.read(readers)
        except Exception as error:  # nothing depends on it
            logger.info("the recorded costs of tasks can't be read: %s", error)
            return Profile()
        finally:
            readers.shutdown()
