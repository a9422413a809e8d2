"""Memory that tasks have freed stays in the process for the next ones, up to a bound.

The C library gives each large array back to the system at once, so that the next one of the same
size is made of fresh pages: those cost more than what many a task does with them. Threads besides
the first one keep less: what they have for arrays that are not given back at once is 64 MiB each.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping

#: Bytes that are kept at most, and the part of a job's memory that they may be.
KEPT_BYTES, PART = 256 * 2**20, 16
#: How many times an array fits into what is kept: larger ones are given back as before.
FITS = 4
#: The numbers of the settings of `mallopt`.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: Variables by which users set the same.
_OF_USERS = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed(
    limit: int,
    environment: Mapping[str, str] = os.environ,
    mallopt: Callable[[int, int], int] | None = None,
) -> int:
    """Let the C library keep what is freed; tell how many bytes at most.

    Parameters
    ----------
    limit : int
        The bytes that this job may have; 0 if that isn't known.
    environment : mapping of str to str, optional
        This process's variables: what the user has set stays.
    mallopt : callable, optional
        Sets the parameter of a number. The C library's, if it has one.

    Returns
    -------
    int
        0 if nothing was set.
    """
    if any(name.startswith(_OF_USERS) for name in environment):
        return 0
    mallopt = mallopt or _mallopt()
    if mallopt is None:
        return 0
    kept = min(KEPT_BYTES, limit // PART if limit else KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, kept // FITS)
    mallopt(_TRIM_THRESHOLD, kept)
    return kept


def _mallopt() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    return found
