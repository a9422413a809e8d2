"""The hold of a session on a named run: its number, its record, all that was recorded before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from dask_knot.errors import MissingObjectError, ReadOnlyStoreError
from dask_knot.run.names import first_plan, session_of
from dask_knot.run.presence import RunInfo, SessionInfo
from dask_knot.run.profile import Profile, merge
from dask_knot.run.record import Entry
from dask_knot.run.run import Run
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.outages import tolerate
from dask_knot.session.recorder import Recorder

logger = logging.getLogger(__name__)

#: Entries of the record that are read at once when a run is opened.
ENTRIES_AT_ONCE = 32
#: The number of a session that only reads: it plans nothing.
NOBODY = 9_999


@dataclass(frozen=True, slots=True)
class Hold:
    """A session's hold on a named run.

    Attributes
    ----------
    session : int
        The number of the session.
    recorder : Recorder
        Writes its plans down.
    entries : sequence of Entry
        What was recorded before.
    profile : Profile
        What tasks have cost in all sessions until now.
    refusal : ReadOnlyStoreError, optional
        Why the run can only be read from here, if so.
    """

    session: int
    recorder: Recorder
    entries: Sequence[Entry]
    profile: Profile
    refusal: ReadOnlyStoreError | None = None

    @property
    def first(self) -> int:
        """Where the numbers of what this session writes begin."""
        return first_plan(self.session)


def take_hold(run: Run, who: SessionInfo, clockwork: Clockwork, *, reuses: bool) -> Hold:
    """Open a named run, or begin it, and read its record; blocks.

    Parameters
    ----------
    run : Run
        The run.
    who : SessionInfo
        Who we are.
    clockwork : Clockwork
        Clock and threads.
    reuses : bool
        Whether what was made before is taken for what is asked for.

    Raises
    ------
    RunNameError
        If there is something else under that name.
    RunFormatError
        If another version of dask_knot made it.
    CorruptObjectError
        If the record is damaged, or a part of it is missing.
    StoreError
        If the store can't be read; or not be written, and there is no run yet.
    """
    refusal = None
    by = f"{who.user}@{who.host}"
    try:
        run.record.found(RunInfo(who.opened, by, who.engine, version("dask_knot")))
        run.check_writable()
        session = session_of(run.claim_session(who))
    except ReadOnlyStoreError as error:
        _check_there(run, error)
        refusal, session = _refused(run, error), NOBODY
        logger.warning("%s", refusal)
    tolerate("earlier sessions can't be read", _compare_versions, run, session, who)
    recorder = Recorder(run.record, clockwork.epoch, session, reuses=reuses, refusal=refusal)
    readers = clockwork.executor("entries", ENTRIES_AT_ONCE)
    try:
        entries = recorder.news(readers)
        profile = merge(run.record.read_profiles(readers))
    finally:
        readers.shutdown()
    return Hold(session, recorder, entries, profile, refusal)


def _compare_versions(run: Run, session: int, who: SessionInfo) -> None:
    """Say it if the session before had other versions: its work isn't ours, then."""
    earlier = [number for number in run.record.list_sessions() if number < session]
    if not earlier:
        return
    theirs = run.record.read_session(max(earlier)).versions
    other = [
        f"{name} {theirs[name] or 'none'} (here {here or 'none'})"
        for name, here in who.versions.items()
        if theirs.get(name, here) != here
    ]
    if other:
        logger.warning(
            "the run %r was used with %s before: results that depend on it are computed "
            "again, and values made with it may not load here",
            run.name,
            ", ".join(other),
        )


def _check_there(run: Run, error: ReadOnlyStoreError) -> None:
    try:
        run.record.read_info()
    except MissingObjectError:
        raise error from None


def _refused(run: Run, error: ReadOnlyStoreError) -> ReadOnlyStoreError:
    return ReadOnlyStoreError(
        f"the run {run.name!r} is read-only here: you can load what is stored, but compute "
        f"nothing new. {error}"
    )
