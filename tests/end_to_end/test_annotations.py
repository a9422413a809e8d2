"""What annotations mean here: sizes of jobs, order, retries, and workers that there are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import pytest
from dask import delayed
from distributed import Client, span, wait

from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError, JobTimeoutError, UnsupportedGraphError
from dask_knot.settings import checks
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import append, flaky, inc, wait_for

Sizes = list[tuple[str, str, int | None]]


@pytest.fixture
def sizes(cluster: KnotCluster) -> Iterator[Sizes]:
    """Record vCPUs, memory (MiB) and timeout of each job or array job that is submitted."""
    batch, found = inside.batch(cluster), []
    submit = batch.submit_job

    def submit_job(**request: Any) -> Any:
        described = batch.describe_job_definitions(jobDefinitions=[request["jobDefinition"]])
        (definition,) = described["jobDefinitions"]
        needs = {r["type"]: r["value"] for r in definition["containerProperties"][NEEDS]}
        timeout = definition.get("timeout", {}).get("attemptDurationSeconds")
        found.append((needs["VCPU"], needs["MEMORY"], timeout))
        return submit(**request)

    batch.submit_job = submit_job
    yield found
    batch.submit_job = submit


NEEDS = "resourceRequirements"
USUAL = ("1", "1024", None)
#: Both ways to say it.
WAYS: list[dict[str, Any]] = [
    {"resources": {"CPU": 2, "MEMORY": 2**29}},
    {"knot": {"vcpus": 2, "memory": "512 MiB"}},
]


def in_words(memory: int) -> dict[str, Any]:
    return {"knot": {"memory": f"{memory // 2**20} MiB"}}


@pytest.mark.parametrize("annotations", WAYS)
def test_a_task_has_a_job_of_its_size(
    client: Client, sizes: Sizes, annotations: dict[str, Any]
) -> None:
    with dask.annotate(**annotations):
        future = client.submit(inc, 1, pure=False)
    assert future.result(timeout=30) == 2
    assert sizes == [("2", "512", None)]


def test_resources_of_one_call(client: Client, sizes: Sizes) -> None:
    two = {"CPU": 2}
    submitted = client.submit(inc, 1, resources=two, pure=False)
    assert submitted.result(timeout=30) == 2
    assert client.gather(client.map(inc, range(3), resources=two, pure=False)) == [1, 2, 3]
    assert client.compute(delayed(inc)(5), resources=two).result(timeout=30) == 6
    assert client.persist(da.ones(5, chunks=5), resources=two).sum().compute() == 5
    assert set(sizes[:-1]) == {("2", "1024", None)}
    assert sizes[-1] == USUAL


@pytest.mark.parametrize("annotations", WAYS)
def test_a_part_of_a_graph(client: Client, sizes: Sizes, annotations: dict[str, Any]) -> None:
    small = [delayed(inc)(n) for n in range(4)]
    with dask.annotate(**annotations):
        large = [delayed(inc)(part) for part in small]
    assert client.compute(delayed(sum)(large)).result(timeout=30) == 14
    assert sizes == [USUAL, ("2", "512", None), USUAL]


@pytest.mark.parametrize("annotations", WAYS)
def test_a_part_of_a_collection_survives_optimization(
    client: Client, sizes: Sizes, annotations: dict[str, Any]
) -> None:
    x = da.ones((8, 8), chunks=4) + 1
    with dask.annotate(**annotations):
        y = x.map_blocks(lambda block: block * 2)
    assert (y - 1).sum().compute() == 3 * 64
    assert ("2", "512", None) in sizes
    assert USUAL in sizes


def test_both_for_one_task(client: Client, sizes: Sizes) -> None:
    with dask.annotate(resources={"CPU": 2}, knot={"memory": "256 MiB", "timeout": "10 min"}):
        assert client.submit(inc, 1, pure=False).result(timeout=30) == 2
    assert sizes == [("2", "256", 600)]


def test_by_key(client: Client, sizes: Sizes) -> None:
    x = da.ones(8, chunks=4)
    with dask.annotate(knot=lambda key: {"vcpus": 2} if key[1] == 1 else None):
        y = x.map_blocks(lambda block: block + 1)
    assert y.compute(optimize_graph=False).sum() == 16
    assert sorted(set(sizes)) == [USUAL, ("2", "1024", None)]


@pytest.mark.parametrize("ask", [lambda most: {"resources": {"MEMORY": most}}, in_words])
def test_a_task_may_have_all_memory_of_the_machine(
    client: Client, cluster: KnotCluster, sizes: Sizes, ask: Callable[[int], dict[str, Any]]
) -> None:
    """More than the two jobs of the cluster have together; others go on, before it or after it."""
    most = inside.engine(cluster).largest.memory
    assert most > 2 * 2**30
    others = client.map(inc, range(4), pure=False)
    with dask.annotate(**ask(most)):
        large = client.submit(inc, 1, pure=False)
    others += client.map(inc, range(4, 8), pure=False)
    assert client.gather([large, *others]) == [2, *range(1, 9)]
    assert ("1", str(most // 2**20), None) in sizes
    with dask.annotate(**ask(most + 2**20)), pytest.raises(UnsupportedGraphError, match="Ask for"):
        client.submit(inc, 1, pure=False).result(timeout=30)


@pytest.mark.parametrize("build", [lambda: delayed(inc)(1), lambda: da.ones(8, chunks=4) + 1])
@pytest.mark.parametrize(
    ("annotations", "error", "words"),
    [
        ({"knot": {"vcpu": 4}}, ConfigurationError, "There are: gpus, inputs, memory, reuse"),
        ({"knot": {"timeout": 5}}, ConfigurationError, "at least 60 seconds"),
        (
            {"knot": {"vcpus": 64}},
            UnsupportedGraphError,
            r"more than any.*\(vcpus 2, gpus \d+,",
        ),
        ({"resources": {"FOO": 1}}, UnsupportedGraphError, "a job has no FOO"),
        (
            {"resources": {"GPU": 1, "MEMORY": 8e9, "CPU": 4}},
            UnsupportedGraphError,
            r"more than any job may have here \(CPU 2, GPU \d+, MEMORY [\d.]+ .iB\)",
        ),
    ],
)
def test_mistakes_are_answered_at_once(
    client: Client,
    sizes: Sizes,
    build: Callable[[], Any],
    annotations: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with dask.annotate(**annotations):
        wrong = build()
    with pytest.raises(error, match=words):
        client.compute(wrong, optimize_graph=False, sync=True)
    with dask.annotate(**annotations), pytest.raises(error, match=words):
        client.submit(inc, 1, pure=False).result(timeout=30)
    assert sizes == []


def test_a_timeout_ends_a_job(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batch's own shortest time is a minute.
    monkeypatch.setattr(checks, "SHORTEST_TIMEOUT", 0)
    monkeypatch.setattr(inside.batch(cluster), "_minimum_timeout", 0)
    with dask.annotate(knot={"timeout": "1s"}):
        late = client.submit(wait_for, "/nonexistent", pure=False)
    other = client.submit(inc, 1, pure=False)
    with pytest.raises(JobTimeoutError, match="timeout"):
        late.result(timeout=60)
    assert other.result(timeout=30) == 2


def test_what_waits_is_planned_by_its_priority(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    gate, order = tmp_path / "gate", tmp_path / "order"
    with dask.config.set({"knot.local.gather-longest": "3s"}):
        cluster = open_cluster(jobs=1)
    with Client(cluster) as client:
        busy = client.submit(wait_for, str(gate))
        until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs))
        plain = client.map(append, [str(order)] * 6, range(6))
        with dask.annotate(priority=10):
            high = client.compute(delayed(append)(str(order), "high"))
        low = client.submit(append, str(order), "low", priority=-1)
        until(lambda: len(cluster.jobs) >= 4)
        gate.touch()
        wait([busy, *plain, high, low], timeout=60)
    assert order.read_text().split()[0] == "high"


def test_priorities_inside_of_a_graph(client: Client, tmp_path: Path) -> None:
    order = tmp_path / "order"
    parts = [delayed(append)(str(order), f"part{n}") for n in range(4)]
    with dask.annotate(priority=5):
        parts.append(delayed(append)(str(order), "high"))
    with dask.annotate(resources={"CPU": 2}):
        total = delayed(len)(parts)
    assert client.compute(total, optimize_graph=False).result(timeout=30) == 5
    lines = order.read_text().split()
    assert lines.index("high") < 2  # of two jobs at once


def test_retries(client: Client, tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert client.submit(flaky, folder, 1, retries=2, pure=False).result(timeout=30) == 1
    assert client.gather(client.map(flaky, [folder] * 2, [2, 3], retries=2)) == [2, 3]
    with dask.annotate(retries=2):
        inner = delayed(flaky)(folder, 4)
    assert delayed(inc)(inner).compute() == 5
    assert delayed(inc)(delayed(flaky)(folder, 5)).compute(retries=2) == 6
    with pytest.raises(OSError, match="not yet"):
        client.submit(flaky, folder, 6, retries=1, pure=False).result(timeout=30)


def test_retries_of_a_collection(client: Client, tmp_path: Path) -> None:
    folder = str(tmp_path)

    def block(x: Any, block_info: Any = None) -> Any:
        flaky(folder, block_info[0]["chunk-location"][0])
        return x

    with dask.annotate(retries=2):
        x = da.ones(4, chunks=1).map_blocks(block, dtype=float)
    assert x.sum().compute() == 4


def current_span(*reads: Any) -> list[Any]:
    return [*(span for read in reads for span in read), dask.get_annotations().get("span")]


def test_tasks_know_their_span(client: Client) -> None:
    with span("outer"), span("inner"):
        known = client.submit(current_span, pure=False).result()
        chain = delayed(current_span)(delayed(current_span)()).compute()
        with dask.annotate(retries=1):
            retried = delayed(current_span)(delayed(current_span)()).compute()
    assert [one["name"] for one in [*known, *chain, *retried]] == [("outer", "inner")] * 5
    assert client.submit(current_span, pure=False).result() == [None]
    with span("two"):
        array = da.ones(4, chunks=2).map_blocks(
            lambda block: block * len(current_span()[0]["name"][0]), dtype=float
        )
        assert array.sum().compute() == 12


def test_workers(cluster: KnotCluster, client: Client) -> None:
    address, other = client.scheduler_info()["workers"]
    for known in ("gateway", address, [other], "127.0.0.1"):
        assert client.submit(inc, 1, workers=known, pure=False).result(timeout=30) == 2
    loose = client.submit(inc, 1, workers="alice", allow_other_workers=True, pure=False)
    assert loose.result(timeout=30) == 2
    with pytest.raises(UnsupportedGraphError, match="the one worker here"):
        client.submit(inc, 1, workers="alice", pure=False).result(timeout=30)
    with dask.annotate(workers=["alice", "bob"]):
        strict = da.ones(4, chunks=2).map_blocks(lambda block: block + 1)
    with pytest.raises(UnsupportedGraphError, match="AWS Batch chooses"):
        client.compute(strict.sum(), optimize_graph=False).result(timeout=30)
