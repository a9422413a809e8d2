"""The size of jobs where it is "auto": chosen by what is known in the store.

Cores are chosen when a session is opened, since jobs are made for so many threads; memory for each
graph that comes, by the tracker. What estimates and earlier runs have measured is one knowledge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from dask_knot.errors import KnotError
from dask_knot.estimates.choice import SPARE, needed
from dask_knot.estimates.sizes import steps
from dask_knot.plural import many
from dask_knot.run.profile import Profile, merge
from dask_knot.run.run import Run
from dask_knot.session.engines import Engine
from dask_knot.settings.settings import AWS_MEMORY_PER_CORE, Settings
from dask_knot.tracking.automatic import AutomaticMemory

logger = logging.getLogger(__name__)

#: The numbers of cores that are chosen from.
CORES = (1, 2, 4)
#: Tasks that keep so many processors busy have use for one more.
USE = 0.8


def automatic_memory(engine: Engine) -> AutomaticMemory | None:
    """Make what chooses the memory of jobs, if the settings leave that to us."""
    settings = engine.settings
    if "memory" not in settings.auto:
        return None
    platform = "local"
    if engine.market is not None:
        platform = engine.template.platform.lower()
    sizes = steps(platform, settings.cores, engine.largest.memory)
    return AutomaticMemory(lambda peak: needed([peak], [1.0], sizes, SPARE), settings.memory)


def with_cores(engine: Engine, say: Callable[[str], None] = logger.warning) -> Settings:
    """Choose the cores of jobs, if the settings leave that to us; blocks.

    Parameters
    ----------
    engine : Engine
        It is open.
    say : callable
        Takes a line for people.

    Returns
    -------
    Settings
        Those of the engine, or others: then it has to be opened again.
    """
    settings = engine.settings
    if "cores" not in settings.auto:
        return settings
    try:
        profile = _known(engine)
    except KnotError as error:
        say(f"cores of jobs: 1, because what is known about tasks can't be read: {error}")
        return settings
    cores, why = choose_cores(profile)
    say(f"cores of jobs: {cores}, because {why}")
    return settings if cores == settings.cores else resized(settings, cores)


def choose_cores(profile: Profile) -> tuple[int, str]:
    """Choose the cores of jobs by how many processors tasks kept busy, and say why."""
    seen = [(one.seconds, one.threads) for one in profile.costs.values() if one.threads]
    whole = sum(seconds for seconds, _ in seen)
    if not whole:
        return CORES[0], "nothing is known about tasks yet"
    busy = sum(seconds * threads for seconds, threads in seen) / whole
    found = max(cores for cores in CORES if cores == CORES[0] or busy >= USE * cores)
    return found, f"tasks kept {busy:.1f} processors busy (over {many('kind', len(seen))} of task)"


def resized(settings: Settings, cores: int) -> Settings:
    """Give the settings for jobs of so many cores: fewer of them, with more memory each."""
    is_local = settings.engine != "aws"
    jobs = max(1, settings.jobs * settings.cores // cores) if is_local else settings.jobs
    memory = settings.memory * cores // settings.cores if is_local else cores * AWS_MEMORY_PER_CORE
    return replace(settings, cores=cores, jobs=jobs, memory=memory)


def _known(engine: Engine) -> Profile:
    """Read what is known of tasks: in the run itself, if it has a name, else in the store."""
    settings = engine.settings
    run = Run(engine.open_store(settings.store or engine.store_url), settings.name).at_once()
    if settings.is_named and (own := merge(run.record.read_profiles())).costs:
        return own
    return run.almanac.read()
