"""What 10,000 tasks cost in requests: to the store by client and jobs, and to Batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks import peers
from benchmarks.case import Case
from dask_knot.local import engine

PER_TASKS = 10_000


class CountingBatch:
    """A Batch client that counts the calls that go through it."""

    def __init__(self, client: Any, calls: Counter[str]) -> None:
        self._client = client
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._client, name)


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Let engines that are opened meanwhile count the calls to their Batch."""
    calls: Counter[str] = Counter()
    open_local = engine.open_local

    def open_counting(*arguments: Any) -> Any:
        opened: Any = open_local(*arguments)
        opened.client = CountingBatch(opened.client, calls)
        return opened

    with patch.object(engine, "open_local", open_counting):
        yield calls


def count_requests(case: Case, tasks: int) -> str:
    """Run a case once on a cluster of its own and describe what it asked for.

    Parameters
    ----------
    case
        What to run.
    tasks
        How many tasks it has: the counts are given per 10,000 of them.
    """
    with counted_calls() as calls, peers.knot() as client:
        peers.warm(client)
        session = client.cluster._lifetime.opened
        watcher = session._lookout._watcher
        here, there, before = session.run.traffic()[0], Counter(watcher.job_requests), +calls
        case.dask(client)
        store = session.run.traffic()[0] - here
        jobs, batch = watcher.job_requests - there, calls - before
    share = PER_TASKS / tasks
    rows = (("store, client", store), ("store, jobs", jobs), ("Batch", batch))
    return "\n".join(f"| {case.name} | {name} | {_words(what, share)} |" for name, what in rows)


def _words(counted: Counter[str], share: float) -> str:
    return ", ".join(f"{name} {count * share:.0f}" for name, count in sorted(counted.items()))
