"""The end of a session's hold on its run: jobs end or are left, then threads, then what is left.

It may come from every thread, from a signal and from the end of the interpreter, several of them at
once: each step is done once, and whoever asks for it waits for that.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from dask_knot.batch.endings import CLOSED, ENDED_RUN
from dask_knot.batch.service import JobService
from dask_knot.batch.termination import Leftovers, end_jobs
from dask_knot.run.run import Run
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.company import Company
from dask_knot.session.costs import CostSheet
from dask_knot.session.driver import Driver
from dask_knot.session.engines import Engine
from dask_knot.session.interruption import has_ended_script, is_interruption, words
from dask_knot.session.lookout import Lookout
from dask_knot.session.outages import tolerate
from dask_knot.session.values import ValueReader
from dask_knot.settings.settings import Settings

logger = logging.getLogger(__name__)

#: For so many seconds trouble of the store is borne at the end: what stays is never looked for.
BEARING = 5.0


@dataclass(slots=True)
class Parting:
    """Lets go of a run; what it does blocks."""

    settings: Settings
    run: Run
    engine: Engine
    service: JobService
    driver: Driver
    lookout: Lookout
    values: ValueReader
    clockwork: Clockwork
    company: Company | None = None
    costs: CostSheet | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _has_let_go: bool = False
    _has_ended_jobs: bool = False
    _is_ended: bool = False
    _is_interrupted: bool = False

    def note_interruption(self) -> None:
        """Note that the session is closed because of Ctrl-C, if so it is."""
        self._is_interrupted |= is_interruption()

    def let_go(self) -> None:
        """End all threads, and the jobs that can't go on without this client."""
        self._let_go(ends_jobs=not self.engine.jobs_stay)

    def end_jobs(self) -> None:
        """End all jobs and threads, and say which jobs could not be ended."""
        self._let_go(ends_jobs=True)

    def end_run_jobs(self) -> None:
        """End all jobs of the run, those of other sessions included, and all threads."""
        self._let_go(ends_jobs=True, is_whole_run=True)

    def end(self) -> None:
        """Delete an unnamed run, and end the engine; before that all jobs, unless they are left."""
        with self._lock:
            self._let_go(ends_jobs=True)
            if self._is_ended:
                return
            self._is_ended = True
            try:
                if not self.settings.is_named:
                    bearing = min(BEARING, self.settings.tempo.patience)
                    self.run.be_patient(bearing, self.clockwork.now, self.clockwork.pause)
                    self.run.delete_all()
            finally:
                self.engine.close()
                if (self._is_interrupted or has_ended_script()) and self.service.jobs:
                    logger.warning("%s", words(self.settings, not self._has_ended_jobs))

    def _let_go(self, ends_jobs: bool, is_whole_run: bool = False) -> None:
        with self._lock:
            if self._has_let_go:
                return
            self._has_let_go, self._has_ended_jobs = True, ends_jobs
            self.driver.stop()
            self.run.hurry()  # not before: what fails now must not go on with its next stage
            self.driver.shut_down_submission()
            if is_whole_run and self.company is not None:
                tolerate("jobs of other sessions could not be stopped", self.company.end_run)
            if ends_jobs:
                self._end_jobs(ENDED_RUN if is_whole_run else CLOSED)
            self.driver.shut_down()
            self.lookout.close()
            self.values.close()
            if self.costs is not None:
                tolerate("the costs of tasks could not be saved", self.costs.write)
            if self.company is not None:  # last: then what it has committed is there
                self.company.close()

    def _end_jobs(self, reason: str) -> None:
        self.engine.end_jobs()
        now, pause = self.clockwork.now, self.clockwork.pause or time.sleep
        self._say(end_jobs(self.service, now=now, pause=pause, reason=reason))

    def _say(self, left: Leftovers) -> None:
        """Say which jobs could not be ended."""
        if left.jobs:
            settings = self.settings
            words = left.words(settings.name, settings.store or "", self.engine.end_command)
            logger.warning("%s", words)
