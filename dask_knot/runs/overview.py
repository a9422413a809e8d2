"""All runs of a store at once: what is known of each without opening a session."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from dask_knot.errors import ConfigurationError, RunNameError, StoreError
from dask_knot.prices.bill import Bill
from dask_knot.runs.billing import run_bill
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs, find_run_jobs, with_jobs
from dask_knot.runs.reading import Observe, RunView, read_holders, read_run
from dask_knot.runs.shares import with_begun

#: Batch isn't asked for jobs of this machine.
NO_JOBS = KnownJobs({})
#: Runs that are read at once.
RUNS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class RunOverview:
    """A run among others.

    Attributes
    ----------
    name : str
        Its name.
    view : RunView or None
        What it is like; None if it can't be read.
    why : str
        Why it can't be read, or why its jobs couldn't be asked for.
    """

    name: str
    view: RunView | None = None
    why: str = ""


def overviews(depot: Depot, observe: Observe) -> list[RunOverview]:
    """Look at all runs of a store, the newest first; those that can't be read come last.

    Raises
    ------
    StoreError
        If the store can't be listed.
    """
    with ThreadPoolExecutor(RUNS_AT_ONCE, "dask-knot-runs") as pool:
        found = pool.map(partial(_overview, depot, observe), depot.names())
    return sorted(filter(None, found), key=_place)


def run_bills(depot: Depot, found: Iterable[RunOverview]) -> dict[str, Bill]:
    """Add up what runs did cost, by name: those that can be read.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    views = {one.name: one.view for one in found if one.view is not None}
    return {
        name: run_bill(depot, view, find_run_jobs(depot, name) if _is_on_aws(view) else NO_JOBS)
        for name, view in views.items()
    }


def _is_on_aws(view: RunView) -> bool:
    return view.info.engine == "aws"


def look_at_holders(depot: Depot, name: str, observe: Observe) -> tuple[RunView, KnownJobs]:
    """Look at who has a run open and at its jobs, and at nothing of its record.

    Raises
    ------
    ConfigurationError
        If there is no such run.
    StoreError
        If the store can't be read.
    """
    run, info = depot.open_any(name)
    is_on_aws = info.engine == "aws"
    known = find_run_jobs(depot, name) if is_on_aws else KnownJobs({})
    return read_holders(run, info, observe), known


def look_at(depot: Depot, name: str, observe: Observe) -> tuple[RunView, KnownJobs]:
    """Look at one run, and at its jobs if it isn't done.

    Raises
    ------
    ConfigurationError
        If there is no such run.
    StoreError
        If it can't be read.
    """
    run, info = depot.open(name)
    view = read_run(run, info, observe)
    known = find_run_jobs(depot, name) if info.engine == "aws" else KnownJobs({})
    return with_jobs(view, known) if info.engine == "aws" else view, known


def read_record(depot: Depot, name: str) -> RunView:
    """Read a run, and look for nobody.

    Raises
    ------
    ConfigurationError
        If there is no such run.
    StoreError
        If it can't be read.
    """
    return read_run(*depot.open(name), lambda run, sessions: frozenset())


def _overview(depot: Depot, observe: Observe, name: str) -> RunOverview | None:
    try:
        run, info = depot.open(name)
        view = with_begun(read_run(run, info, observe, is_hasty=True))
    except (RunNameError, ConfigurationError):  # it is something else, or was deleted meanwhile
        return None
    except StoreError as error:
        return RunOverview(name, why=str(error))
    if info.engine != "aws" or view.is_done:
        return RunOverview(name, view)
    known = find_run_jobs(depot, name)
    return RunOverview(name, with_jobs(view, known), known.why)


def _place(one: RunOverview) -> tuple[bool, float, str]:
    return one.view is None, -one.view.info.made if one.view else 0.0, one.name
