"""Archive: the record of a named run, in verbs; `Run.record` is one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from dask_knot.errors import CorruptObjectError, MissingObjectError, RunError
from dask_knot.run import note, record
from dask_knot.run.codec import Bytes
from dask_knot.run.foundation import Foundation, OneReader, Readers
from dask_knot.run.maps import MapBook
from dask_knot.run.names import MOST_SESSIONS, Names, ShardId
from dask_knot.run.note import NoteKind
from dask_knot.run.obituary import Obituary
from dask_knot.run.ownership import put_ours
from dask_knot.run.presence import Beat, RunEnd, RunInfo, SessionInfo
from dask_knot.run.profile import Profile
from dask_knot.run.record import Entry
from dask_knot.run.store import Store
from dask_knot.run.trouble import why_missing


class Archive:
    """The record of a run, and what sessions tell each other.

    Verbs raise what those of a `Run` do. Those that write look before and after whether the run is
    still there, two small reads: RunDeletedError says that somebody has deleted it, or made another
    one of its name, and then nothing of ours stays there. For several threads.

    Parameters
    ----------
    store : Store
        Where the objects are.
    names : Names
        What they are called.

    Attributes
    ----------
    maps : MapBook
        The maps of a `Knot`.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self._foundation = Foundation(store, names)
        self.maps = MapBook(store, names, self._foundation)

    def on(self, store: Store) -> Archive:
        """Give the same, asked of a store of another patience."""
        other = copy(self)
        other._store = store
        other._foundation = self._foundation.on(store)
        other.maps = MapBook(store, self._names, other._foundation)
        return other

    # The run.

    def found(self, info: RunInfo) -> RunInfo:
        """Begin the record, or take up the one that is there, and give what that says of itself.

        A read if there is one; else also two looks at what is in its place, and a write.

        Raises
        ------
        RunNameError
            If there is something else under the name of the run; nothing is written then.
        RunFormatError
            If another version of dask_knot made it.
        """
        return self._foundation.lay(info)

    def read_info(self) -> RunInfo:
        """Read what a run says of itself; missing if it keeps no record.

        Raises
        ------
        RunNameError, RunFormatError
            If something else has that name, or another version made it.
        """
        return self._foundation.read()

    def is_left_over(self) -> bool:
        """Tell whether there is something of a run here, and nothing else, but no record of it."""
        return self._foundation.is_left_over()

    # Sessions.

    def claim(self, who: SessionInfo | None = None) -> int:
        """Claim a number for a session: another one may have opened the run.

        It takes a listing, and a write for each session that claims at the same time.
        """
        frames = [b"open", uuid.uuid4().bytes] if who is None else who.encode()
        # Those of sessions that have expired are left alone: of their plans there may be more.
        number = max(self.list_sessions(), default=-1) + 1
        while number < MOST_SESSIONS:
            if put_ours(self._store, self._names.session(number), frames):
                return number
            number += 1
        raise RunError(
            f"{self._foundation.at} has had {MOST_SESSIONS} sessions, the most that a run "
            "can have: use another name"
        )

    def list_sessions(self) -> list[int]:
        """Number the sessions that there were and are."""
        return self._names.parse_sessions(self._store.list(self._names.sessions))

    def read_session(self, number: int) -> SessionInfo:
        """Read who a session is."""
        name = self._names.session(number)
        return SessionInfo.decode(name, self._store.get(name))

    def beat(self, number: int, beat: Beat) -> None:
        """Write the heartbeat of a session over the one before."""
        self._put(self._names.beat(number), beat.encode())

    def read_beat(self, number: int) -> Beat | None:
        """Read the heartbeat of a session, if there ever was one."""
        name = self._names.beat(number)
        try:
            return Beat.decode(name, self._store.get(name))
        except MissingObjectError:
            return None

    def end(self, by: str) -> None:
        """Tell all sessions that somebody has ended the run's jobs."""
        before = self.read_end()
        again = RunEnd(0 if before is None else before.count + 1, by)
        self._put(self._names.ended, again.encode())

    def read_end(self) -> RunEnd | None:
        """Read who ended the run's jobs last, if anybody ever did."""
        try:
            return RunEnd.decode(self._names.ended, self._store.get(self._names.ended))
        except (MissingObjectError, CorruptObjectError):
            return None

    # The log.

    def append(self, entry: Entry, position: int) -> bool:
        """Write an entry of the record, unless another session has written one in its place."""
        name, frames = self._names.entry(position), record.encode(entry)
        return self._put_new(name, frames)

    def read_entries(self, start: int, pool: Readers | None = None) -> list[Entry]:
        """Read the record from an entry on: a listing, and a read for each entry.

        Raises
        ------
        CorruptObjectError
            If an entry is damaged, or missing between others.
        RunDeletedError
            If the run was deleted meanwhile.
        """
        offset = self._names.entry(start - 1) if start else None
        listed = self._store.list(self._names.log, offset)
        found = [number for number in self._names.parse_entries(listed) if number >= start]
        for expected, number in enumerate(found, start):
            if number != expected:
                raise self._hole(expected)
        return list((pool or OneReader()).map(self._read_entry, found))

    # What belongs to plans.

    def note_jobs(self, plan: int, jobs: Mapping[int, str]) -> None:
        """Write the ids of a plan's jobs, by stage, over those before."""
        self._put(self._names.jobs(plan), note.encode(NoteKind.JOBS, {"jobs": dict(jobs)}))

    def read_jobs(self, plan: int) -> dict[int, str]:
        """Read the ids of a plan's jobs, by stage; none if they were never written."""
        try:
            return dict(self._fields(NoteKind.JOBS, self._names.jobs(plan))["jobs"])
        except MissingObjectError:
            return {}

    def write_why(self, plan: int, data: bytes) -> None:
        """Write what the digests of a plan's tasks are made of."""
        self._put(self._names.why(plan), note.encode(NoteKind.WHY, {"data": data}))

    def read_why(self, plan: int) -> bytes:
        """Read what the digests of a plan's tasks are made of."""
        return bytes(self._fields(NoteKind.WHY, self._names.why(plan))["data"])

    def write_obituary(self, shard: ShardId, obituary: Obituary) -> bool:
        """Write how a child ended, unless somebody else has."""
        return self._put_new(self._names.manifest(shard, is_lost=True), obituary.encode())

    def read_obituary(self, shard: ShardId) -> Obituary:
        """Read how a child ended."""
        name = self._names.manifest(shard, is_lost=True)
        return Obituary.decode(name, self._store.get(name))

    # Published datasets.

    def publish(self, name: str, data: bytes, override: bool = False) -> bool:
        """Write a dataset; one that has the name already is replaced only if that is wanted."""
        frames = note.encode(NoteKind.PUBLISHED, {"name": name, "data": data})
        if not override:
            return self._put_new(self._names.published(name), frames)
        self._put(self._names.published(name), frames)
        return True

    def list_published(self) -> list[str]:
        """Name what is published; one more request for each name that is long."""
        found = []
        for name in self._store.list(self._names.published_datasets):
            try:
                text = self._names.parse_published(name)
            except ValueError:
                continue  # somebody else's
            found.append(self._fields(NoteKind.PUBLISHED, name)["name"] if text is None else text)
        return sorted(found)

    def read_published(self, name: str) -> bytes:
        """Read a dataset."""
        return bytes(self._fields(NoteKind.PUBLISHED, self._names.published(name))["data"])

    def unpublish(self, name: str) -> None:
        """Forget a dataset; one that isn't there doesn't matter."""
        self._store.delete([self._names.published(name)])

    # Costs.

    def write_profile(self, session: int, profile: Profile) -> None:
        """Write what tasks have cost in a session over what it wrote before."""
        self._put(self._names.profile(session), profile.encode())

    def read_profiles(self, pool: Readers | None = None) -> list[Profile]:
        """Read what tasks have cost: a listing, and a read for each session.

        Those that can't be read are left out: a profile is a help, and nothing depends on it.
        """
        numbers = self._names.parse_sessions(self._store.list(self._names.profiles))
        found = (pool or OneReader()).map(self._read_profile, numbers)
        return [profile for profile in found if profile is not None]

    # How it is asked.

    def _fields(self, kind: NoteKind, name: str) -> dict[str, Any]:
        return note.decode(kind, name, self._store.get(name))

    def _read_entry(self, number: int) -> Entry:
        name = self._names.entry(number)
        try:
            return record.decode(name, self._store.get(name))
        except MissingObjectError as error:  # it was listed
            self._foundation.check_alive()
            raise self._hole(number) from error
        except CorruptObjectError as error:
            raise CorruptObjectError(f"{error}. {self._cure}") from error

    def _hole(self, number: int) -> CorruptObjectError:
        return CorruptObjectError(
            f"entry {number} of the record of {self._foundation.at} is missing although "
            f"later ones exist: {why_missing(self._store.url)}. {self._cure}"
        )

    @property
    def _cure(self) -> str:
        return (
            "Without it, what else is stored can't be known: use another name, or delete "
            f"the run (`dask knot rm {self._names.run}`)"
        )

    def _read_profile(self, session: int) -> Profile | None:
        name = self._names.profile(session)
        try:
            return Profile.decode(name, self._store.get(name))
        except (MissingObjectError, CorruptObjectError):
            return None

    def _put(self, name: str, frames: Sequence[Bytes]) -> None:
        self._foundation.check_alive()
        self._store.put(name, frames)
        self._foundation.check_alive(name)

    def _put_new(self, name: str, frames: Sequence[Bytes]) -> bool:
        self._foundation.check_alive()
        is_ours = put_ours(self._store, name, frames)
        if is_ours:
            self._foundation.check_alive(name)
        return is_ours
