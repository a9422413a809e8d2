"""Keys by what people type: as they are printed, or the beginning of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from dask.typing import Key
from dask.utils import key_split

from dask_knot.errors import ConfigurationError
from dask_knot.plural import many
from dask_knot.run.spelling import Fit, fit_of, plain

#: So many of the keys that a text may mean are named.
NAMED = 5


def find_key(text: str, keys: Iterable[Key]) -> Key:
    """Find the one key that a text means.

    Parameters
    ----------
    text : str
        A key as it is printed (``load-3``, ``('x', 0, 0)``) or nearly so (``x:0:0``), or what only
        one begins with.
    keys : iterable of Key
        Those that there are.

    Raises
    ------
    ConfigurationError
        If there is no such key, or several begin so; the message names some.
    """
    text = text.strip()
    known = dict.fromkeys(keys)
    printed: dict[str, Key] = {}
    for key in known:
        printed.setdefault(str(key), key)
    if text in printed:
        return printed[text]
    same = [key for name, key in printed.items() if plain(name) == plain(text)]
    if same:
        return same[-1]
    fits = {name: fit_of(text, name) for name in printed}
    best = max(fits.values(), default=Fit.NONE)
    found = [key for name, key in printed.items() if fits[name] == best is not Fit.NONE]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"{many('key', len(found))} of the run begin with {text!r}: {_some(found)}"
        )
    near = get_close_matches(text, printed, NAMED, 0.4)
    known_text = f"; similar keys: {_some(near)}" if near else _kinds(known)
    raise ConfigurationError(f"no graph of the run has a key {text!r}{known_text}")


def _kinds(keys: Iterable[Key]) -> str:
    """Name the kinds of keys that there are; `show` also counts tasks of others."""
    kinds = list(dict.fromkeys(key_split(key) for key in keys))
    if not kinds:
        return ""
    return (
        f"; the outputs of jobs are {_some(kinds)}. Keys that are only used inside a job "
        "aren't recorded"
    )


def _some(keys: Sequence[Key]) -> str:
    more = ", …" if len(keys) > NAMED else ""
    return ", ".join(str(key) for key in keys[:NAMED]) + more


def nearest_names(name: str, names: Iterable[str]) -> list[str]:
    """Sort names by how close they are to one that isn't among them."""
    there = list(names)
    close = get_close_matches(name, there, len(there) or 1, 0.0)
    return [*close, *(one for one in there if one not in close)]
