"""Values reach clients without a way through the scheduler, and are each reader's own."""

from __future__ import annotations

import asyncio
import operator
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, as_completed, wait

from dask_knot import KnotCluster
from dask_knot.errors import ClientMemoryError
from dask_knot.session.admission import Admission
from tests import inside
from tests.end_to_end.tasks import fail

SIZE = 200_000


@pytest.fixture
def by_message(cluster: KnotCluster, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """List what was asked of the scheduler with messages that bring bytes."""
    asked: list[Any] = []
    scheduler: Any = cluster.scheduler
    for name in ("gather", "locate_values", "read_range"):
        handler = scheduler.handlers[name]

        async def noted(*arguments: Any, _handler: Any = handler, **options: Any) -> Any:
            asked.append((arguments, options))
            return await _handler(*arguments, **options)

        monkeypatch.setitem(scheduler.handlers, name, noted)
    return asked


def test_what_is_gathered_twice_is_two(client: Client, by_message: list[Any]) -> None:
    futures = client.map(np.full, [SIZE, 10], [7, 8], pure=False)
    first = client.gather(futures)
    for array in first:
        array[:] = 0  # writable, as on any cluster
    for direct in (None, True):
        second = client.gather(futures, direct=direct)
        assert [set(array) for array in second] == [{7}, {8}]
    assert [set(future.result()) for future in futures] == [{7}, {8}]
    assert by_message == []


def test_one_by_one_and_without_those_that_failed(client: Client, by_message: list[Any]) -> None:
    futures = client.map(np.ones, [SIZE, SIZE + 1], pure=False)
    found = {array.size for _, array in as_completed(futures, with_results=True)}
    assert found == {SIZE, SIZE + 1}
    failed = client.submit(fail, 1, pure=False)
    wait(failed)
    assert len(client.gather([*futures, failed], errors="skip")) == 2
    assert by_message == []


def test_clients_in_other_event_loops_of_this_process(
    cluster: KnotCluster, client: Client, by_message: list[Any]
) -> None:
    array = np.arange(SIZE)

    async def main() -> None:
        async with Client(cluster.scheduler_address, asynchronous=True) as other:
            scattered = await other.scatter(array)
            copied = other.submit(np.copy, scattered, pure=False)
            np.testing.assert_array_equal(await copied, array)
            np.testing.assert_array_equal(await other.gather(scattered), array)

    asyncio.run(main())
    assert {len(options["keys"]) for _, options in by_message} == {1}  # no range was asked for
    with Client(cluster, set_as_default=False) as second:
        assert second.submit(np.ones, SIZE, pure=False).result().size == SIZE


PROGRAM = """
import sys
import numpy as np
from distributed import Client, wait
from dask_knot.errors import StoreError
from dask_knot.run.run import Run

def refuse(url, patience):
    raise StoreError("there is no such folder here")

if __name__ == "__main__":
    address, sees_the_store = sys.argv[1], sys.argv[2] == "True"
    if not sees_the_store:
        Run.of_pack = refuse
    with Client(address, timeout=30) as client:
        numbers = client.map(np.full, [2_500_000, 100], [1, 2], pure=False)
        wait(numbers)
        for _ in range(2):
            for value, array in enumerate(client.gather(numbers), 1):
                assert set(array) == {value}
                array[:] = 0
        courier = client.scheduler.gather.__self__
        assert (courier._trial.result() is not None) is sees_the_store
        assert numbers[0].result().sum() == 2_500_000
        assert client.gather(client.map(abs, range(200))) == list(range(200))
"""


@pytest.mark.parametrize("sees_the_store", [True, False])
def test_a_client_in_another_process(
    cluster: KnotCluster, by_message: list[Any], sees_the_store: bool, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run(
        [sys.executable, program, cluster.scheduler_address, str(sees_the_store)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=90,
        check=True,
    )
    ranges = [options["place"] for _, options in by_message if "place" in options]
    assert (len(ranges) <= 1) is sees_the_store


def test_who_has_no_memory_is_told_and_loses_nothing(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = client.submit(operator.mul, "x", 40_000_000, pure=False)
    wait(future)
    with monkeypatch.context() as patch:
        patch.setattr(inside.session(cluster).values, "_admission", Admission(lambda: 1000))
        with pytest.raises(ClientMemoryError, match=r"40\.0 MB are needed"):
            future.result()
    assert len(future.result()) == 40_000_000
