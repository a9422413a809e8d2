"""A sample that is the same every time and leaves no file out."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32


def sample(names: Iterable[str], every: int) -> set[str]:
    """Choose one test of `every` by its name, and at least one of each file.

    Parameters
    ----------
    names : iterable of str
        Tests as pytest names them: ``file::test[parameters]``.
    every : int
        1 chooses all.
    """
    files: dict[str, list[str]] = {}
    for name in names:
        files.setdefault(name.partition("::")[0], []).append(name)
    chosen: set[str] = set()
    for tests in files.values():
        # Not `hash`: it is another one in each process.
        picked = [name for name in tests if crc32(name.encode()) % every == 0]
        chosen.update(picked or [min(tests, key=lambda name: crc32(name.encode()))])
    return chosen
