"""What clients tell children that run, and the claim on what a shard has handed over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense


@dataclass(frozen=True, slots=True)
class Orders:
    """What the children of a stage are to do, by their indices.

    Attributes
    ----------
    unneeded : frozenset of int
        End: nobody needs what they make.
    asked : frozenset of int
        Hand over what they haven't begun.
    """

    unneeded: frozenset[int] = frozenset()
    asked: frozenset[int] = frozenset()

    def encode(self) -> list[Bytes]:
        """Write them, checked: a damaged number is that of another child."""
        fields = {"unneeded": sorted(self.unneeded), "asked": sorted(self.asked)}
        return note.encode(NoteKind.ORDERS, fields)

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Orders:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.ORDERS, name, data)
        try:
            return cls(frozenset(fields["unneeded"]), frozenset(fields["asked"]))
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


class Claimant(Enum):
    """Who runs what a shard has handed over: the one whose claim was written first."""

    CLIENT = "client"  # any: a claim of one of them counts for all
    CHILD = "child"  # any attempt of it: it has taken everything back

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.CLAIM, {"by": self.value})

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Claimant:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.CLAIM, name, data)
        try:
            return cls(fields["by"])
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error
