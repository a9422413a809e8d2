"""Many small submissions become few jobs, and what follows from a result goes at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from distributed import Client, as_completed

from dask_knot import KnotCluster
from tests.end_to_end.tasks import inc


def jobs_of(cluster: KnotCluster) -> int:
    """Count the jobs that a cluster has submitted, an array job being one."""
    return len(cluster.jobs)


def test_five_thousand_submissions_are_fifty_jobs(
    open_cluster: Callable[..., KnotCluster],
) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        futures = [client.submit(inc, n) for n in range(5_000)]
        assert client.gather(futures) == list(range(1, 5_001))
        assert jobs_of(cluster) <= 50


def test_a_loop_of_chains(cluster: KnotCluster, client: Client) -> None:
    before = jobs_of(cluster)
    ends = [client.submit(inc, client.submit(inc, n)) for n in range(300)]
    assert client.gather(ends) == list(range(2, 302))
    assert jobs_of(cluster) - before <= 50


def test_threads_that_submit_at_once(cluster: KnotCluster, client: Client) -> None:
    before = jobs_of(cluster)
    results: dict[int, list[int]] = {}

    def work(start: int) -> None:
        futures = [client.submit(inc, n) for n in range(start, start + 200)]
        results[start] = client.gather(futures)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {start: list(range(start + 1, start + 201)) for start in (0, 1000, 2000)}
    assert jobs_of(cluster) - before <= 60


def test_a_graph_that_grows_from_its_results(client: Client) -> None:
    """Collatz sequences: whether there is a next step is known from the last one only."""

    def step(n: int) -> int:
        return n // 2 if n % 2 == 0 else 3 * n + 1

    running = as_completed(client.map(step, range(20, 23)))
    steps = 0
    for future in running:
        steps += 1
        if future.result() != 1:
            running.add(client.submit(step, future))
    assert steps > 10
    assert running.is_empty()


def test_a_search_that_stops_early(client: Client) -> None:
    def square(n: int) -> int:
        return n * n

    running = as_completed(client.map(square, range(10)), with_results=True)
    best, tried = 0, 10
    for _, value in running:
        best = max(best, value)
        if best >= 400:
            break
        running.add(client.submit(square, tried))
        tried += 1
    assert best >= 400
