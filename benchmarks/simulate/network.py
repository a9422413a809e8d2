"""Seconds that a job of one vCPU spends on transfers from and to S3; and what was transferred."""

from __future__ import annotations

from collections import Counter

from benchmarks.simulate.numbers import Numbers


class Traffic:
    """Requests to S3 by operation, and the bytes ``read`` and ``written``.

    Attributes
    ----------
    requests : Counter
        By ``put``, ``get``, ``list``, ``delete``.
    nbytes : Counter
        By ``read`` and ``written``.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.nbytes: Counter[str] = Counter()

    def get(self, nbytes: float, requests: int = 1) -> None:
        """Count reads."""
        self.requests["get"] += requests
        self.nbytes["read"] += int(nbytes)

    def put(self, nbytes: float, requests: int = 1) -> None:
        """Count writes."""
        self.requests["put"] += requests
        self.nbytes["written"] += int(nbytes)


def read_seconds(numbers: Numbers, nbytes: float, requests: int = 1) -> float:
    """Give the seconds that some requests take together, as many at once as a job makes."""
    return _seconds(numbers, numbers.s3_latency, nbytes, requests)


def write_seconds(numbers: Numbers, nbytes: float, requests: int = 1) -> float:
    """Give the seconds that some puts take together; large ones go in parts, side by side."""
    side_by_side = max(requests, int(nbytes // PART_BYTES))
    rounds = -(-requests // int(numbers.requests_at_once))
    return rounds * numbers.s3_put_latency + nbytes / rate(numbers, side_by_side)


def rate(numbers: Numbers, requests: int) -> float:
    """Give the bytes a second of so many requests."""
    at_once = max(1, min(requests, int(numbers.requests_at_once)))
    return min(at_once * numbers.s3_rate, numbers.job_rate)


def _seconds(numbers: Numbers, latency: float, nbytes: float, requests: int) -> float:
    if not requests:
        return 0.0
    rounds = -(-requests // int(numbers.requests_at_once))
    return rounds * latency + nbytes / rate(numbers, requests)


#: Objects of this size and more go to S3 in several parts at once.
PART_BYTES = 16 * 2**20
