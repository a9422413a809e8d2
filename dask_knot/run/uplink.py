"""The line on which objects go out: how large their parts are, and when one is given up. Pure.

A part that is sent says nothing until all of it has arrived, so that a slow line and one that is
dead look alike for a while. What has arrived before tells them apart: it says how fast the line is,
and so how long a part may take. A part that took longer is sent again with twice the time, and
fewer at once, until it would be slower than any line that is worth waiting for.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

#: Objects of this size and more go to S3 in several parts at once: smaller ones aren't worth three
#: waits instead of one, and six requests.
PARTED_BYTES = 64 * 2**20
#: Bytes of such a part. On a slow line, where what is cut is dear, all larger objects go in parts.
PART_BYTES = 16 * 2**20
#: S3's own smallest part, and the most parts that an object has.
SMALLEST_PART, MOST_PARTS = 5 * 2**20, 10_000
#: Parts of one object that are sent at once.
AT_ONCE = 12
#: A line of so many bytes a second has room for all that.
FAST = 16 * 2**20
#: Seconds that what is under way at once is to take on a slower one.
PACE = 10.0
#: What a line is thought to carry before anything is known of it (2 Mbit/s), and what the slowest
#: one carries that is waited for, in bytes a second.
UNKNOWN, SLOWEST = 256 * 2**10, 16 * 2**10
#: So many times as long as the shortest one may a part take at first.
MOST_TIMES = 16
#: What is smaller says more about the distance than about the line.
TELLING = 128 * 2**10


@dataclass(frozen=True, slots=True)
class Dispatch:
    """How one object is sent.

    Attributes
    ----------
    part : int
        Bytes of a part; more than all of an object that goes as it is.
    at_once : int
        Parts that are sent at the same time.
    limit : float
        Seconds after which a part is given up.
    """

    part: int
    at_once: int
    limit: float

    def under_way(self, size: int) -> int:
        """Give the bytes that are under way at once, of an object of so many."""
        return min(size, self.part * self.at_once)


class Uplink:
    """What is known of the line. For several threads.

    Parameters
    ----------
    shortest : float
        Seconds that any part may take.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._lock = Lock()  # around the two below
        self._rate: float | None = None
        self._patience = 1

    def dispatch(self, size: int, whole: bool = False) -> Dispatch:
        """Say how an object of so many bytes is to be sent, in one piece if it must be."""
        with self._lock:
            rate, patience = self._rate, self._patience
        is_slow = patience > 1 or (rate is not None and rate < FAST)
        if whole or size < (PART_BYTES if is_slow else PARTED_BYTES):
            part = max(PART_BYTES, size + 1)
        else:
            part = max(SMALLEST_PART if is_slow else PART_BYTES, -(-size // MOST_PARTS))
        carried = rate or UNKNOWN
        fitting = max(1, int(carried * PACE / part))
        at_once = min(AT_ONCE, fitting) if is_slow else AT_ONCE
        expected = min(size, part * at_once) / carried
        limit = self._shortest * patience
        most = limit * MOST_TIMES
        while limit < min(2 * expected, most):  # doubled: there is a client of S3 for each
            limit *= 2
        return Dispatch(part, at_once, limit)

    def note_sent(self, size: int, seconds: float) -> None:
        """Note that an object has arrived, and how long it took."""
        with self._lock:
            self._patience = 1
            if size >= TELLING:
                found = size / max(seconds, 1e-3)
                self._rate = found if self._rate is None else (self._rate + found) / 2

    def note_late(self, size: int, given: Dispatch) -> bool:
        """Note that a part of an object took too long; tell whether it may have more time."""
        if given.under_way(size) / given.limit < SLOWEST:
            return False
        with self._lock:
            # Others, which were sent at the same time, may have noted it already.
            self._patience = max(self._patience, int(2 * given.limit / self._shortest))
            if self._rate is not None:
                self._rate = min(self._rate, given.under_way(size) / given.limit)
        return True
