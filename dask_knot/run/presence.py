"""The run itself, its sessions and their heartbeats: who made it, who holds it, and who is there.

Nothing here reads a clock or asks the machine: whoever makes these brings what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, TypeVar

from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run says of itself; the first session writes it.

    Attributes
    ----------
    made : float
        When, in seconds since the epoch, by the clock of its client.
    by : str
        Who made it: user and host.
    engine : str
        The engine of the session that made it.
    dask_knot : str
        The version of dask_knot that did.
    format : int
        The version of the record's format.
    """

    made: float
    by: str
    engine: str
    dask_knot: str
    format: int = note.VERSION

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.RUN, asdict(self), self.format)

    @classmethod
    def decode(cls, name: str, data: Bytes) -> RunInfo:
        """Read what `encode` wrote; raises what `note.decode` does."""
        return _made(cls, name, note.decode(NoteKind.RUN, name, data))


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who a session is.

    Attributes
    ----------
    user, host : str
        For people.
    machine : str
        The same for all processes of a machine between two boots, and for no others.
    pid : int
        The number of its process.
    process_start : float
        When that began, by the clock of its machine: another process may get the same number.
    engine : str
        Its engine.
    opened : float
        When it opened the run, in seconds since the epoch, by its own clock.
    versions : mapping of str to str
        Of Python and packages (`versions.installed`).
    place : str
        Where its jobs are, if they go on without it: sessions of other places don't know them.
    """

    user: str
    host: str
    machine: str
    pid: int
    process_start: float
    engine: str
    opened: float
    versions: Mapping[str, str] = field(default_factory=dict)
    place: str = ""

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.SESSION, {**asdict(self), "versions": dict(self.versions)})

    @classmethod
    def decode(cls, name: str, data: Bytes) -> SessionInfo:
        """Read what `encode` wrote; raises what `note.decode` does."""
        return _made(cls, name, note.decode(NoteKind.SESSION, name, data))


class Presence(Enum):
    """What a session says with its heartbeat."""

    OPEN = "open"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat: whoever sees that `count` stays for many intervals knows what that means.

    Clocks differ, so that a beat has no time: its observers measure with their own.

    Attributes
    ----------
    count : int
        How many there were before.
    state : Presence
        Whether the session is there.
    interval : float
        So many seconds after it there is another one.
    """

    count: int
    state: Presence = Presence.OPEN
    interval: float = 30.0

    def encode(self) -> list[Bytes]:
        """Write it."""
        fields = {"count": self.count, "state": self.state.value, "interval": self.interval}
        return note.encode(NoteKind.BEAT, fields)

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Beat:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.BEAT, name, data)
        try:
            return cls(fields["count"], Presence(fields["state"]), fields["interval"])
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Says that somebody ended all jobs of a run: what waits then has been ended on purpose.

    Attributes
    ----------
    count : int
        How often that was done before.
    by : str
        Who did: user and host.
    """

    count: int
    by: str

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.END, asdict(self))

    @classmethod
    def decode(cls, name: str, data: Bytes) -> RunEnd:
        """Read what `encode` wrote; raises what `note.decode` does."""
        return _made(cls, name, note.decode(NoteKind.END, name, data))


def _made(kind: Callable[..., T], name: str, fields: Mapping[str, Any]) -> T:
    try:
        return kind(**fields)
    except NONSENSE as error:
        raise makes_no_sense(name, error) from error
