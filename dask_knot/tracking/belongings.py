"""The objects in the store that belong to a shard, and go with it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Belongings:
    """What a shard has written.

    Attributes
    ----------
    names : set of str, optional
        Its objects, or None when they were deleted.
    stored : int
        Bytes of the values in them.
    """

    names: set[str] | None = field(default_factory=set)
    stored: int = 0

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

    def come_back(self) -> None:
        """Have objects again, though nobody knows which."""
        self.names = self.names or set()

    def go(self) -> tuple[list[str], int]:
        """Have no objects any more; give their names, and the bytes of the values in them."""
        names, self.names = sorted(self.names or ()), None
        stored, self.stored = self.stored, 0
        return names, stored
