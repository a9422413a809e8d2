"""The objects in the store that belong to a shard, and go with it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import NamedTuple

from dask.typing import Key

from dask_knot.run.manifest import Kind, Manifest, Output


class SetAside(NamedTuple):
    """A value that is there, whether anybody needs it or not: as an output, and its type."""

    output: Output
    type: tuple[bytes, str]


@dataclass(slots=True, eq=False)
class Belongings:
    """What a shard has written.

    Attributes
    ----------
    names : set of str, optional
        Its objects, or None when they were deleted.
    stored : int
        Bytes of the values in them.
    aside : dict of Key to SetAside
        Values that nobody needs while the shard runs on: tasks that it hands over may need them.
    parts : dict of int to SetAside
        While an adopted shard runs on, the values that its parts have told of, by ordinal: each
        part is read once, and somebody may ask for more of it later.
    """

    names: set[str] | None = field(default_factory=set)
    stored: int = 0
    aside: dict[Key, SetAside] = field(default_factory=dict)
    parts: dict[int, SetAside] = field(default_factory=dict)

    @property
    def are_gone(self) -> bool:
        """They were deleted."""
        return self.names is None

    def keep(self, size: int) -> None:
        """Have a value in the store."""
        self.stored += size

    def write(self, names: Set[str]) -> None:
        """Have objects in the store."""
        assert self.names is not None
        self.names |= names

    def set_aside(self, key: Key, value: SetAside) -> None:
        """Have a value that nobody needs for now."""
        self.aside[key] = value

    def take_part(self, manifest: Manifest) -> None:
        """Have the values that a part tells of."""
        for output in manifest.outputs:
            if output.kind is Kind.FINISHED:
                self.parts[output.ordinal] = SetAside(output, manifest.types[output.type])

    def take_up(self) -> dict[Key, SetAside]:
        """Give what was set aside, which it isn't any more."""
        taken, self.aside, self.parts = self.aside, {}, {}
        return taken

    def come_back(self) -> None:
        """Have objects again, though nobody knows which."""
        self.names = self.names or set()

    def go(self) -> tuple[list[str], int]:
        """Have no objects any more; give their names, and the bytes of the values in them."""
        names, self.names = sorted(self.names or ()), None
        stored, self.stored = self.stored, 0
        return names, stored
