"""Where runs are kept, and how their jobs are asked for: as a cluster would find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dask_knot.batch.client import BatchClient
from dask_knot.errors import (
    AwsError,
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    RunFormatError,
)
from dask_knot.run.firstlook import look_first
from dask_knot.run.folder import folder_of, is_there
from dask_knot.run.foundation import runs_in
from dask_knot.run.names import RUN_NAME
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.keys import nearest_names
from dask_knot.settings.home import home_store
from dask_knot.settings.settings import AwsSettings, resolve


@dataclass(frozen=True, slots=True)
class JobAccess:
    """How the jobs of runs are asked for.

    Attributes
    ----------
    client : BatchClient
        The calls of boto3's Batch client.
    queue : str
        The job queue.
    tail : callable
        Gives the last lines of a log: ``tail(log_stream_name, lines)``.
    session : AwsSession or None
        Credentials and region.
    """

    client: BatchClient
    queue: str
    tail: Callable[[str, int], Sequence[str]]
    session: Any = None


@dataclass(frozen=True, slots=True)
class Depot:
    """A store of runs.

    Attributes
    ----------
    url : str
        Its URL.
    engine : str
        The engine that runs there are made with, unless they say another.
    jobs : JobAccess or None
        How jobs on AWS are asked for; None if that can't be, or there are none.
    why : str
        Why jobs on AWS can't be asked for.
    region : str
        Where these are.
    """

    url: str
    engine: str
    _store: Store | None  # None: nobody has made its folder yet
    jobs: JobAccess | None = None
    why: str = ""
    region: str = ""

    def names(self) -> list[str]:
        """Name the runs: a listing, and a read for each folder."""
        return [] if self._store is None else runs_in(self._store)

    def open(self, name: str) -> tuple[Run, RunInfo]:
        """Open a run, and read what it says of itself.

        Raises
        ------
        ConfigurationError
            If there is none of that name; the message names those that there are.
        StoreError
            If it can't be read, or is of another version.
        """
        if self._store is not None and RUN_NAME.fullmatch(name):
            run = Run(self._store, name)
            try:
                return run, run.record.read_info()
            except MissingObjectError:
                pass
        names = nearest_names(name, self.names())
        there = f"it has {', '.join(names)}" if names else "it has no runs"
        raise ConfigurationError(f"there is no run {name!r} in {self.url}: {there}")

    def unrecorded(self, name: str) -> Run:
        """Give a run that says nothing of itself, as those without a name do.

        Raises
        ------
        ConfigurationError
            If there is no such store.
        """
        if self._store is None:
            raise ConfigurationError(f"there is no run {name!r} in {self.url}, and no store either")
        return Run(self._store, name)

    def open_any(self, name: str) -> tuple[Run, RunInfo]:
        """Open a run to end or delete it, even if it doesn't say what it is.

        Its record may be gone (its oldest objects expire first), damaged, or of another version.

        Raises
        ------
        ConfigurationError
            If there is none of that name, nor the rest of one.
        StoreError
            If the store can't be read, or something else has that name.
        """
        unknown = RunInfo(0.0, "", self.engine, "")
        if self._store is None or not RUN_NAME.fullmatch(name):
            return self.open(name)
        run = Run(self._store, name)
        try:
            return self.open(name)
        except (CorruptObjectError, RunFormatError):
            return run, unknown
        except ConfigurationError:
            if not run.record.is_left_over():
                raise
            return run, unknown


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody said of where runs are; what is None, or empty, the configuration decides.

    Attributes
    ----------
    store, engine : str or None
        As those of `KnotCluster`.
    stack, region, profile : str or None
        Where to look on AWS.
    """

    store: str | None = None
    engine: str | None = None
    stack: str | None = None
    region: str | None = None
    profile: str | None = None


def find_runs(said: Words, open_session: Callable[..., Any] | None = None) -> Depot:
    """Find the store of named runs, as `KnotCluster` would.

    Parameters
    ----------
    said : Words
        What is given; who names a stack, a region or a profile means engine "aws".
    open_session : callable, optional
        Opens an AWS session, by ``profile`` and ``region``; `open_aws_session` if None.

    Raises
    ------
    ConfigurationError
        If a setting is wrong, or no store can be found.
    AwsError
        If AWS refuses, or can't be reached.
    StoreError
        If the store that is named can't be opened.
    """
    on_aws = {
        name: value
        for name in ("stack", "region", "profile")
        if (value := getattr(said, name) or None) is not None
    }
    engine = said.engine or ("aws" if on_aws else None)
    settings = resolve({"engine": engine, "store": said.store, **on_aws})
    if settings.aws is not None:
        return _on_aws(settings.aws, settings.store, open_session)
    url = settings.store or home_store()
    folder = folder_of(url)
    if folder is not None and not is_there(folder):
        if settings.store is not None:
            raise ConfigurationError(f"there is no folder {folder}: say which store you mean")
        return Depot(url, settings.engine, None)
    store = Store(url)
    look_first(store.url, store.requests)
    return Depot(store.url, settings.engine, store)


def _on_aws(aws: AwsSettings, url: str | None, open_session: Callable[..., Any] | None) -> Depot:
    # Imported when used: boto3 takes a part of a second.
    from dask_knot.aws.logs import tail
    from dask_knot.aws.outputs import read_outputs
    from dask_knot.aws.session import open_aws_session

    session = (open_session or open_aws_session)(profile=aws.profile, region=aws.region)
    try:
        outputs = read_outputs(session, aws.stack)
    except AwsError as error:
        if url is None:
            raise
        there = Store(url, **session.store_options(url))
        return Depot(url, "aws", there, why=str(error), region=session.region)
    url = url or outputs.store_url
    jobs = JobAccess(
        session.asking("batch"),
        aws.queue or outputs.queue,
        lambda stream, lines: tail(session, outputs.log_group, stream, lines),
        session,
    )
    there = Store(url, **session.store_options(url))
    return Depot(url, "aws", there, jobs, region=session.region)
