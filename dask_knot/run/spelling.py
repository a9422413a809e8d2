"""Keys as people type them: without quotes, blanks or brackets, a part or the beginning. Pure."""

from __future__ import annotations

from enum import IntEnum

_LEFT_OUT = str.maketrans("", "", "\"' ")
_LOOSE = str.maketrans(":", ",", "\"' ()")


class Fit(IntEnum):
    """How well a text names something."""

    NONE = 0
    BEGINNING = 1  # it begins so
    PARTS = 2  # its first parts: the name of a map, of a collection, of an array of jobs
    WHOLE = 3


def plain(text: str) -> str:
    """Leave out what a shell eats, or people leave out: quotes and blanks."""
    return text.translate(_LEFT_OUT)


def fit_of(text: str, key: str) -> Fit:
    """Tell how well a text names a key as it is printed.

    ``('x-0', 17)`` is named by itself, ``(x-0,17)``, ``x-0,17`` and ``x-0:17``; its first part is
    ``x-0``, and it begins with ``x``. It isn't named by ``x-0:1``: numbers are whole.
    """
    said, name = text.translate(_LOOSE), key.translate(_LOOSE)
    if said == name:
        return Fit.WHOLE
    if not name.startswith(said):
        return Fit.NONE
    if not said or said.endswith(",") or name[len(said)] == ",":
        return Fit.PARTS
    if "," in said and said[-1].isdecimal() and name[len(said)].isdecimal():
        return Fit.NONE
    return Fit.BEGINNING
