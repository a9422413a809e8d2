"""The end of a run: its jobs are ended, its objects deleted, and nothing is done by halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dask_knot.errors import ConfigurationError
from dask_knot.plural import many
from dask_knot.run.presence import SessionInfo
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs, end_run_jobs
from dask_knot.runs.reading import RunView


@dataclass(frozen=True, slots=True)
class Holders:
    """What still holds a run.

    Attributes
    ----------
    sessions : sequence of str
        Those that are there: whose they are, and which processes.
    jobs : sequence of str
        The ids of jobs that Batch hasn't ended.
    """

    sessions: Sequence[str]
    jobs: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.sessions or self.jobs)

    def __str__(self) -> str:
        """Name them."""
        words = [f"{who} has it open" for who in self.sessions]
        words += [f"{many('job', len(self.jobs))} under way"] if self.jobs else []
        return ", ".join(words)


def holders(view: RunView, known: KnownJobs) -> Holders:
    """Name what still holds a run."""
    alive = [_who(number, view.sessions.get(number)) for number in sorted(view.marks.alive)]
    return Holders(alive, [job.id for job in known.open])


def cancel(depot: Depot, view: RunView, known: KnownJobs) -> Sequence[str]:
    """End all jobs of a run; name those that haven't ended in time. What is done stays.

    Raises
    ------
    ConfigurationError
        If they are processes of a client, which only that can end.
    AwsError
        If Batch doesn't take it, or can't be asked.
    StoreError
        If the store can't be read.
    """
    if view.info.engine != "aws":
        if there := holders(view, known).sessions:
            raise ConfigurationError(_of_client(view, there))
        return ()
    if depot.jobs is None or not known.is_asked:
        raise ConfigurationError(f"AWS Batch can't be asked about jobs: {known.why}")
    return end_run_jobs(depot.jobs, known)


def remove(view: RunView) -> int:
    """Delete all objects of a run; count those that couldn't be deleted, which the log explains."""
    view.run.delete_all()
    return view.run.survey().objects


def _who(number: int, who: SessionInfo | None) -> str:
    return f"session {number}" if who is None else f"{who.user}@{who.host}, process {who.pid},"


def _of_client(view: RunView, sessions: Sequence[str]) -> str:
    # A knot has one object for each of its maps.
    call = "knot.close()" if view.run.record.maps.read_all() else "cluster.end()"
    return (
        f"jobs of run {view.run.name} are processes of its client and stop with it: stop "
        f"{' and '.join(sessions).rstrip(',')} (Ctrl-C there), or call {call} there; "
        "finished results are kept"
    )
