"""How many tasks of each prefix there are: what people see of tasks that they never named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dask.typing import Key
from dask.utils import key_split


def count_prefixes(keys: Iterable[Key]) -> dict[str, int]:
    """Count keys by their prefix (`dask.utils.key_split`), in the order of their first one.

    Splitting a key takes microseconds, so what only tells keys of one prefix apart goes before.
    """
    found: dict[str, int] = {}
    for name, count in Counter(map(_name, keys)).items():
        prefix = key_split(name)
        found[prefix] = found.get(prefix, 0) + count
    return found


def _name(key: Key) -> Key:
    """Give a shorter key of the same prefix, the same one for as many keys as possible."""
    if type(key) is tuple:
        return key[0] if key else ""
    if type(key) is not str:
        return key
    # A word that isn't of letters only ends the prefix: one is as good as any other.
    head, _, last = key.rpartition("-")
    if not head or last.isalpha():
        return key
    return head + "-0"
