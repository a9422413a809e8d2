"""What stands in the way of an image, all of it at once, and what is told on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dask_knot.environment.credentials import redact
from dask_knot.errors import PackagesError

#: Told what is done, in lines.
Report = Callable[[str], None]


class Notice(str):
    """A line about what jobs will lack: it is told where nobody watches the others, too."""

    __slots__ = ()


class Problem(NamedTuple):
    """Something that can't go into an image as it is.

    Attributes
    ----------
    what : str
        What is wrong, with the package or the line that it is about.
    cure : str
        What to do: a sentence that begins with a verb.
    """

    what: str
    cure: str


class Problems:
    """The problems of one environment: gathered first, then told together."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def add(self, what: str, cure: str) -> None:
        """Note a problem; the same one twice is one."""
        self._found[Problem(what, cure)] = None

    def raise_if_any(self) -> None:
        """End here if anything was noted.

        Raises
        ------
        PackagesError
            With all problems, each with its cure.
        """
        if self._found:
            raise PackagesError(self.told())

    def told(self) -> str:
        """Put them into one message."""
        count = "a problem" if len(self._found) == 1 else f"{len(self._found)} problems"
        listed = "".join(f"\n- {what}.\n  Fix: {cure}." for what, cure in self._found)
        # A line of a file may have a token, as its author wrote it.
        return redact(
            f"the packages here can't go into an image yet, because of {count}:{listed}", ()
        )
