"""Runs and logs of earlier sessions, found by the settings of a knot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dask_knot.knot.host import SessionHost
from dask_knot.runs.depot import Depot, Words, find_runs
from dask_knot.runs.jobs import LINES
from dask_knot.runs.lines import read_logs
from dask_knot.runs.presence import Observer
from dask_knot.session.hooks import nobody
from dask_knot.settings.settings import Settings


def depot_of(settings: Settings) -> Depot:
    """Find the store where a knot of these settings is kept.

    Raises
    ------
    ConfigurationError, AwsError, StoreError
        If it can't be found, or opened.
    """
    aws = settings.aws
    where = (aws.stack, aws.region, aws.profile) if aws is not None else (None, None, None)
    return find_runs(Words(settings.store, settings.engine, *where))


@dataclass(frozen=True, slots=True)
class PastLogs:
    """Reads logs of jobs of this session, and of others.

    Attributes
    ----------
    settings : Settings
        Say where the run is.
    host : SessionHost
        Knows the jobs of this session.
    """

    settings: Settings
    host: SessionHost

    def read(self, ids: Sequence[str]) -> dict[str, str]:
        """Read the last lines of the logs of some jobs, by who wrote them."""
        session = self.host.session
        own = {job.id for job in session.jobs.values()}
        if own.issuperset(ids):
            return session.logs_of([*ids]) if ids else {}
        depot, name = depot_of(self.settings), self.settings.name
        chosen = [*ids] if depot.jobs is not None else [None]
        found = [
            end for id in chosen for end in read_logs(depot, name, id, LINES, Observer(nobody))
        ]
        return {end.title: "\n".join(end.lines) for end in found}
