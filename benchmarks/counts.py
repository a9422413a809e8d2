"""What 10,000 tasks cost in requests: to the store by client and jobs, and to Batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks import peers
from benchmarks.cases import Case

PER_TASKS = 10_000


class CountingBatch:
    """A Batch client that counts the calls that go through it."""

    def __init__(self, client: Any, calls: Counter[str]) -> None:
        self._client = client
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._client, name)


def count_requests(case: Case, tasks: int) -> str:
    """Run a case once on a cluster of its own and describe what it asked for.

    Parameters
    ----------
    case
        What to run.
    tasks
        How many tasks it has: the counts are given per 10,000 of them.
    """
    with peers.knot() as client:
        peers.warm(client)
        session = client.cluster._session
        service, watcher = session._service, session._watcher
        calls: Counter[str] = Counter()
        service.client = CountingBatch(service.client, calls)
        here, there = session.run.traffic()[0], Counter(watcher.job_requests)
        case.dask(client)
        store = session.run.traffic()[0] - here
        jobs = watcher.job_requests - there
    share = PER_TASKS / tasks
    rows = (("store, client", store), ("store, jobs", jobs), ("Batch", calls))
    return "\n".join(f"| {case.name} | {name} | {_words(what, share)} |" for name, what in rows)


def _words(counted: Counter[str], share: float) -> str:
    return ", ".join(f"{name} {count * share:.0f}" for name, count in sorted(counted.items()))
