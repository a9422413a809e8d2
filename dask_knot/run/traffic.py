"""Counts what is asked of a store, as S3 counts it for its bill: many threads ask."""

from __future__ import annotations

from collections import Counter
from threading import Lock

#: Objects that one request for a list of them names.
LISTED = 1000


class Traffic:
    """The requests to a store, and the bytes that go there and come from there.

    Parameters
    ----------
    url : str
        The store: in S3 what is large takes more requests than one.

    Attributes
    ----------
    requests, moved : Counter
        Requests by operation; bytes ``read`` and ``written``.
    """

    def __init__(self, url: str) -> None:
        self._is_counted = url.startswith("s3://")
        self._lock = Lock()  # around the two below
        self.requests: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()

    def note(self, operation: str, count: int = 1) -> None:
        """Count requests."""
        with self._lock:
            self.requests[operation] += count

    def note_listed(self, objects: int) -> None:
        """Count the requests that a list took beyond the first one."""
        if self._is_counted and objects > LISTED:
            self.note("list", (objects - 1) // LISTED)

    def note_parts(self, size: int, part: int) -> None:
        """Count those beyond the first one that an object took which went in parts: each of them,
        and the one that joins them.
        """
        if self._is_counted and size >= part:
            self.note("part", -(-size // part) + 1)

    def note_moved(self, way: str, size: int) -> None:
        """Count bytes that were ``read`` or ``written``."""
        if size:
            with self._lock:
                self.moved[way] += size

    def copy(self) -> tuple[Counter[str], Counter[str]]:
        """Copy `requests` and `moved`, as they are at one moment."""
        with self._lock:
            return Counter(self.requests), Counter(self.moved)
