"""Fixtures: a LocalBatch with a fake launcher, and one with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.batch.fork import ForkLauncher
from dask_knot.batch.launcher import Exit
from tests.batch.desk import Desk
from tests.batch.fakes import FakeLauncher

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@pytest.fixture
def launcher() -> FakeLauncher:
    """Give a launcher that succeeds at ``true``, fails at ``false``, and else waits."""
    return FakeLauncher(true=[Exit(0)], false=[Exit(1)])


@pytest.fixture
def desk(launcher: FakeLauncher, tmp_path: Path) -> Iterator[Desk]:
    """Give a LocalBatch without processes."""
    desk = Desk(launcher, tmp_path)
    desk.define()
    yield desk
    desk.batch.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Desk]:
    """Give a LocalBatch with processes."""
    server_log = tmp_path / "server.log"
    launcher = ForkLauncher(environment=THREADS, log_path=server_log)
    desk = Desk(launcher, tmp_path)
    desk.define()
    yield desk
    desk.batch.close()
    assert server_log.read_text() == "" if server_log.exists() else True
