"""The obituary of a child that ended without a last manifest: written by who noticed, for all."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense


@dataclass(frozen=True, slots=True)
class Obituary:
    """The end of a child.

    Attributes
    ----------
    ending : str
        How it ended: the name of one of the tracker's endings.
    kind, text : str
        The type of the error that stands for its tasks, and what that says.
    job_id, reason : str
        The child's id at Batch, and what Batch gave as the reason.
    log : tuple of str
        The last lines of its log.
    failure : bytes
        The error itself (`Failure.encode`), or none.
    """

    ending: str
    kind: str = ""
    text: str = ""
    job_id: str = ""
    reason: str = ""
    log: tuple[str, ...] = ()
    failure: bytes = b""

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.OBITUARY, asdict(self))

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Obituary:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.OBITUARY, name, data)
        try:
            return cls(**fields)
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error
