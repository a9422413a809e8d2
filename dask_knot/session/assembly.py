"""Puts a cluster's parts together, from settings to a driver that is ready to start."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from dask.typing import Key

from dask_knot.batch.service import JobService
from dask_knot.batch.termination import Leftovers, end_jobs
from dask_knot.errors import StoreError, StoreGoneError
from dask_knot.planning import Limits, Resources, Shard, Stage
from dask_knot.plural import many
from dask_knot.run import names
from dask_knot.run.names import StageId
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from dask_knot.session.constants import StoredConstants
from dask_knot.session.driver import Driver
from dask_knot.session.engines import Engine, open_engine
from dask_knot.session.lingering import Lingering
from dask_knot.session.parts import Parts
from dask_knot.session.stalls import StuckWatch
from dask_knot.session.submission import Submitter
from dask_knot.session.values import ValueReader
from dask_knot.session.watcher import Watcher
from dask_knot.settings.settings import Settings
from dask_knot.tracking.tracker import Pace, Tracker

logger = logging.getLogger(__name__)

#: So often the folder of a run is emptied at most.
LOOKS = 5
#: For so many seconds trouble of the store is borne then: what stays is never looked for again.
BEARING = 5.0


@dataclass(slots=True)
class Assembly:
    """All parts of an open cluster."""

    settings: Settings
    engine: Engine
    store: Store
    service: JobService
    tracker: Tracker
    driver: Driver
    resources: Resources
    first_number: int
    _ending: threading.RLock = field(default_factory=threading.RLock)
    _is_closed: bool = False

    @property
    def jobs(self) -> int:
        """How many jobs may run at once."""
        return self.tracker.state.limits.slots

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""
        self.engine.resize(jobs)
        self.tracker.resize(replace(self.tracker.state.limits, slots=jobs))

    def logs(self, what: Key | None) -> dict[str, str]:
        """Read the logs of a job, a child, the child that made a key's value; None: of the newest.

        Raises
        ------
        KeyError
            If no job has that id, or is to make the value of that key.
        TypeError
            If it can't be a key.
        """
        if what is None:
            return self.service.logs()
        if not isinstance(what, Hashable):
            raise TypeError(f"{what!r} isn't one job id, future or key: ask for one after another")
        if isinstance(what, str) and self.service.is_job(what):
            return self.service.logs([what])
        shard = self.tracker.shard_of(what)
        if shard is None or shard.stage not in self.service.jobs:
            raise KeyError(f"{what!r} is neither a job of this cluster nor a key that a job makes")
        return self.service.logs([self.service.jobs[shard.stage].child(shard.index)])

    def job_script(self) -> str:
        """Show the requests for a stage of two shards."""
        id = StageId(0, 0)
        empty = Shard((), (), (), (), 0.0)
        url = f"{self.store.url}/{names.pack(self.settings.name, id)}"
        stage = Stage((empty, empty), self.resources)
        definition = self.service.definition(self.resources)
        requests = {
            "RegisterJobDefinition": definition,
            "SubmitJob": {
                **self.service.request(id, stage, url, definition["jobDefinitionName"]),
            },
        }
        return json.dumps(requests, indent=2)

    def end_jobs(self) -> None:
        """End all jobs and threads, and say which jobs could not be ended; blocks.

        May be called twice, and by several threads at once.
        """
        with self._ending:
            if self._is_closed:
                return
            self.driver.stop_submitting()
            self.engine.end_jobs()
            left = end_jobs(self.service)
            self.driver.shut_down()
        if left.jobs:
            logger.warning("%s", self._words(left))

    def close(self) -> None:
        """Delete an unnamed run, now that no job writes any more, and end the engine; blocks.

        Only the first call does anything: a process that ends makes sure.
        """
        with self._ending:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                if not self.settings.is_named:
                    self.store.be_patient(min(BEARING, self.settings.tempo.patience))
                    empty(self.store, f"{self.settings.name}/")
            finally:
                self.engine.close()

    def _words(self, left: Leftovers) -> str:
        commands = "\n  ".join(map(self.engine.end_command, left.jobs))
        why = "they did not end in time" if left.why is None else left.why
        return (
            f"{many('job', len(left.jobs))} of {self.settings.name} could not be ended: {why}. "
            f"They may run on, cost money and write into {self.store.url}. To end them:\n"
            f"  {commands}"
        )


def empty(store: Store, folder: str) -> None:
    """Delete all that is in a folder of a store, and say if something stays.

    It is looked at again: what a job had just sent when it ended may arrive after its end.
    """
    try:
        for _ in range(LOOKS):
            store.delete_all(folder)
            if not store.list(folder):
                return
        why = "somebody still writes there"
    except StoreGoneError:  # with all that was in it
        return
    except StoreError as error:
        why = str(error)
    logger.warning("not all was deleted from %s/%s: %s", store.url, folder, why)


def assemble(settings: Settings) -> Assembly:
    """Start the engine and make the parts that work with it. Blocks for some milliseconds.

    Raises
    ------
    EngineError
        If the engine can't run here.
    AwsError
        If AWS refuses, or can't be reached.
    ConfigurationError
        If the engine has no jobs of that size.
    StoreError
        If the store can't be written.
    """
    engine = open_engine(settings)
    try:
        return _assemble(engine)
    except BaseException:
        engine.close()
        raise


def _assemble(engine: Engine) -> Assembly:
    settings = engine.settings
    run, tempo = settings.name, settings.tempo
    service = JobService(engine.client, engine.template, engine.tail)
    resources = Resources(
        vcpus=settings.cores, memory=settings.memory, gpus=settings.gpus, timeout=settings.timeout
    )
    service.definition(resources)  # a size that there isn't is refused now, not with the first job
    store = engine.open_store(settings.store or engine.store_url)
    store.check_writable(names.probe(run))
    settings = replace(settings, store=store.url)  # now that it is known
    limits = Limits(
        slots=settings.jobs,
        shards_per_slot=tempo.shards_per_slot,
        target_seconds=tempo.target,
        job_start_seconds=tempo.job_start,
        unknown_seconds=tempo.unknown_task,
    )
    pace = Pace(tempo.gather_quiet, tempo.gather_longest)
    tracker = Tracker(run, limits, resources, pace)
    first = _claim_plans(store, run) if settings.is_named else 0
    tracker.state.plans = first
    store.be_patient(tempo.patience)  # not before: what is wrong from the start is told at once
    values = ValueReader(store)
    options = Options(settings.cores, settings.processes, settings.part_interval)
    parts = Parts(
        tracker,
        store,
        service,
        values,
        Submitter(store, run, service, options, StoredConstants(store, run)),
        Watcher(store.at_once(), run, service, values),  # it looks again itself
        StuckWatch(service, tempo.stuck_after),
        Lingering(engine.client, lambda: service.jobs),
        tempo,
    )
    return Assembly(settings, engine, store, service, tracker, Driver(parts), resources, first)


def _claim_plans(store: Store, run: str) -> int:
    """Claim numbers for the plans of one cluster: another one may have opened the same run."""
    number = len(store.list(f"{run}/sessions/"))
    while not store.put_new(names.session(run, number), [b"open"]):
        number += 1
    return number * names.PLANS_PER_SESSION
