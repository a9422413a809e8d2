"""Opens a session: puts its parts together, from settings to one that is ready to start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

from dask_knot.batch.service import JobService
from dask_knot.digests import CodeMarker, Digester
from dask_knot.planning import Limits, Resources
from dask_knot.prices.shelf import stocked
from dask_knot.run.run import Run
from dask_knot.run.work import Options
from dask_knot.runs.machine import own_info
from dask_knot.session.autosize import automatic_memory, with_cores
from dask_knot.session.bundles import JobBundle
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.company import join_company, look_around
from dask_knot.session.constants import StoredConstants
from dask_knot.session.costs import CostSheet, assumed, recalled
from dask_knot.session.driver import Driver
from dask_knot.session.engines import Engine, allowance_of, open_engine, place_of
from dask_knot.session.failures import Failures
from dask_knot.session.hold import Hold, take_hold
from dask_knot.session.hooks import Hooks
from dask_knot.session.lookout import Lookout
from dask_knot.session.outages import Endurance
from dask_knot.session.parting import Parting
from dask_knot.session.priorcosts import PriorCosts
from dask_knot.session.progress import Progress
from dask_knot.session.purse import Purse, open_purse
from dask_knot.session.session import Session
from dask_knot.session.spending import Spending
from dask_knot.session.submission import Submitter
from dask_knot.session.values import MOST_AT_ONCE, ValueReader
from dask_knot.session.watcher import Watcher
from dask_knot.settings.settings import Settings
from dask_knot.tracking import events
from dask_knot.tracking.memory import MemoryNeeds
from dask_knot.tracking.pace import Mending, Pace
from dask_knot.tracking.tracker import Held, Tracker

#: Manifests that are fetched at once.
MANIFESTS_AT_ONCE = 8


def open_session(settings: Settings, is_trial: bool = False) -> Session:
    """Start the engine that the settings name, and a session on it. Blocks for some milliseconds.

    Parameters
    ----------
    settings : Settings
        What it is opened with.
    is_trial : bool
        Each task runs alone in its job, and twice if it is short: see `job/tryout.py`.

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
        chosen = with_cores(engine)
        if chosen.cores != settings.cores:
            engine.close()
            engine = open_engine(chosen)
        return session_on(engine, is_trial=is_trial)
    except BaseException:
        engine.close()
        raise


def session_on(
    engine: Engine,
    clockwork: Clockwork | None = None,
    run: Run | None = None,
    is_trial: bool = False,
) -> Session:
    """Make a session on an engine that is open. What is wrong from the start is told at once.

    Parameters
    ----------
    engine : Engine
        Runs the jobs; has the settings.
    clockwork : Clockwork, optional
        Clock and threads; those of this process, if none is given.
    run : Run, optional
        What holds all objects; one in the engine's store, if none is given.
    is_trial : bool
        See `open_session`.
    """
    clockwork = clockwork or Clockwork()
    settings = engine.settings
    service = JobService(engine.client, engine.template, engine.tail, engine.scout)
    size = _size(settings)
    service.definition(size)  # a size that there isn't is refused now, not with the first job
    run = run or Run(engine.open_store(settings.store or engine.store_url), settings.name)
    hold = _hold(run, engine, clockwork)
    settings = replace(settings, store=run.store_url)  # now that it is known
    first = hold.first if hold is not None else 0
    # Not before: what is wrong from the start is told at once. Waiting ends when the run is left.
    run.be_patient(settings.tempo.patience, clockwork.now, clockwork.pause)
    limits = _limits(settings, is_trial, run.is_mapped)
    tracker = _tracker(run, limits, settings, size, hold)
    spending, purse = _money(engine, service, run, settings, tracker, clockwork)
    tracker.memory.allow(allowance_of(engine))
    tracker.memory.automatic = automatic_memory(engine)
    values = ValueReader(run, clockwork.executor("values", MOST_AT_ONCE))
    options = _options(settings, is_trial)
    hooks = Hooks()
    endurance = Endurance(clockwork, lambda line: hooks.notice(line))
    constants, bundle = StoredConstants(run), _bundle(engine)
    submitter = Submitter(run, service, options, constants, endurance, bundle=bundle, purse=purse)
    finder, marker = None, _marker(engine.settings)
    costs = _cost_sheet(run, hold, marker, clockwork, tracker.memory)
    if hold is not None:
        finder = look_around(run.at_once(), hold.session, engine, service, clockwork)
        submitter = replace(submitter, recorder=hold.recorder, neighbors=finder.neighbors)
    # Without patience: it looks again itself.
    reads = clockwork.executor("manifests", MANIFESTS_AT_ONCE)
    opening = tracker.opening if hold is not None else None
    watcher = Watcher(run.at_once(), service, values, reads, opening, costs)
    watcher.spending = spending

    def delete(names: Sequence[str]) -> None:
        values.forget(names)
        run.delete(names)

    driver = Driver(tracker, submitter, Failures(values, endurance), delete, hooks, clockwork)
    lookout = Lookout(driver, tracker, watcher, settings, hooks, clockwork)
    lookout.purse = purse
    company = None
    if finder is not None:
        lookout.neighbors = finder.neighbors
        company = join_company(finder, submitter, driver, tracker, clockwork)
    held = settings, run, engine, service, driver, lookout, values, clockwork
    parting = Parting(*held, company, costs)
    return Session(
        settings=settings,
        size=size,
        hooks=hooks,
        plugins=submitter.plugins,
        purse=purse,
        run=run,
        values=values,
        first_number=first,
        progress=Progress(tracker, lambda: service.jobs),
        spending=spending,
        digester=_digester(settings),
        prior=_prior(run, marker, driver, clockwork),
        _engine=engine,
        _service=service,
        _tracker=tracker,
        _driver=driver,
        _lookout=lookout,
        _parting=parting,
        _company=company,
    )


def _size(settings: Settings) -> Resources:
    return Resources(
        vcpus=settings.cores, memory=settings.memory, gpus=settings.gpus, timeout=settings.timeout
    )


def _bundle(engine: Engine) -> JobBundle:
    """Make what takes the user's own modules along; jobs that are here import the same files."""
    most = 0 if engine.is_here else engine.settings.modules_limit
    if not most:
        return JobBundle()
    from dask_knot.modules import OwnModules  # which takes a while

    return JobBundle(OwnModules(most_bytes=most))


def _options(settings: Settings, is_trial: bool) -> Options:
    return Options(
        settings.cores,
        settings.processes,
        settings.part_interval,
        settings.tempo.news_interval,
        settings.is_named,
        is_trial,
    )


def _money(
    engine: Engine,
    service: JobService,
    run: Run,
    settings: Settings,
    tracker: Tracker,
    clockwork: Clockwork,
) -> tuple[Spending, Purse]:
    """Make what tells the cost of jobs, and what holds them to a budget, at the same prices."""
    market = engine.market
    # Before and after, also if they are refreshed meanwhile.
    prices = cache(partial(stocked, region=market.region if market is not None else ""))
    spending = Spending(engine, service, run, prices, clockwork.epoch)
    open_shards, spent = tracker.open_shards, spending.spent
    return spending, open_purse(settings, _size(settings), market, open_shards, spent, prices)


def _marker(settings: Settings) -> CodeMarker | None:
    """Make what marks code, where costs are kept: in a store that outlives the run, or in it."""
    outlives = settings.store is not None or settings.aws is not None
    return CodeMarker() if outlives or settings.is_named else None


def _prior(
    run: Run, marker: CodeMarker | None, driver: Driver, clockwork: Clockwork
) -> PriorCosts | None:
    """Make what recalls the costs of runs without a name, where such may be kept."""
    if marker is None:
        return None
    return PriorCosts(run.at_once().almanac, marker, driver, clockwork)


def _cost_sheet(
    run: Run,
    hold: Hold | None,
    marker: CodeMarker | None,
    clockwork: Clockwork,
    memory: MemoryNeeds,
) -> CostSheet | None:
    """Begin to add up what tasks cost, if that can be noted."""
    hasty = run.at_once()
    if marker is None or (hold is not None and hold.refusal is not None):
        return None
    if hold is not None:
        note, session = partial(hasty.record.write_profile, hold.session), hold.session
    else:
        note, session = partial(hasty.almanac.write, clockwork.epoch()), 0
    return CostSheet(note, session, marker.codes, clockwork.now, memory)


def _digester(settings: Settings) -> Digester | None:
    if not settings.is_named:
        return None
    own = settings.docker or settings.aws
    return Digester((own.image if own is not None else None) or "")


def _hold(run: Run, engine: Engine, clockwork: Clockwork) -> Hold | None:
    """Open a named run; of one without a name only find out whether its store can be written."""
    settings = engine.settings
    if not settings.is_named:
        run.check_writable()
        return None
    return take_hold(
        run, own_info(settings.engine, place_of(engine)), clockwork, reuses=settings.reuse
    )


def _tracker(
    run: Run, limits: Limits, settings: Settings, size: Resources, hold: Hold | None
) -> Tracker:
    """Make the tracker, which knows of a named run all that was recorded."""
    tempo = settings.tempo
    pace = Pace(tempo.gather_quiet, tempo.gather_longest)
    held = None
    if hold is not None:
        held = Held(hold.first, settings.reuse)
    mended = Mending(settings.part_interval, settings.speculate)
    tracker = Tracker(run.names, limits, size, pace, held, mended)
    tracker.handle(assumed(), 0.0)
    if hold is not None:
        tracker.handle(recalled(hold.profile), 0.0)
        tracker.handle(events.EntriesFound(hold.entries), 0.0)
    return tracker


def _limits(settings: Settings, is_trial: bool, is_mapped: bool) -> Limits:
    tempo = settings.tempo
    return Limits(
        tasks_per_shard=1 if is_trial else None,
        slots=settings.jobs,
        shards_per_slot=tempo.shards_per_slot,
        target_seconds=tempo.target,
        job_start_seconds=tempo.job_start,
        bandwidth=tempo.bandwidth,
        is_mapped=is_mapped,
    )
