"""What holds for the whole process while a cluster is open, and what ends clusters with it."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import pandas as pd
import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.cluster.process import NEWCOMERS, SHUFFLES, Overrides

#: Windows has none of these; other packages know that.
PROGRAM = """
import os, sys
import bokeh, distributed, obstore, rich.console

for module in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[module] = None
for name in ("fork", "register_at_fork", "getuid", "getgid", "killpg", "setsid", "getpgid"):
    delattr(os, name)
import dask_knot.cli
from dask_knot.cluster import KnotCluster
"""


def methods() -> list[str | None]:
    return [dask.config.get(name, None) for name in SHUFFLES]


def test_shuffles_go_by_tasks_until_the_last_cluster_has_closed() -> None:
    with dask.config.set(dict.fromkeys(SHUFFLES, "p2p")):
        one = KnotCluster(jobs=1, dashboard_address=None)
        two = KnotCluster(jobs=1, dashboard_address=None)
        assert methods() == ["tasks"] * 2
        one.close()
        assert methods() == ["tasks"] * 2
        with Client(two):
            frame = dd.from_pandas(pd.DataFrame({"who": range(40)}), npartitions=4)
            assert len(frame.shuffle("who").compute()) == 40
            x = da.ones((40, 40), chunks=(40, 4)).rechunk((4, 40))
            assert x.sum().compute() == 1600
        two.close()
        assert methods() == ["p2p"] * 2


def test_what_was_not_set_is_not_set_afterwards() -> None:
    before = methods()
    overrides = Overrides()
    overrides.acquire(logging.ERROR)
    overrides.acquire(logging.ERROR)
    assert methods() == ["tasks"] * 2
    overrides.release()
    assert methods() == ["tasks"] * 2
    overrides.release()
    assert methods() == before
    assert [name for name in SHUFFLES if dask.config.get(name, "unset") == "tasks"] == []


@pytest.mark.parametrize(
    ("before", "options", "now", "options_now"),
    [
        ([], [], [NEWCOMERS], []),
        (None, None, [NEWCOMERS], None),
        ("one", [], ["one", NEWCOMERS], []),
        (["one"], ["--a", "1"], ["one", NEWCOMERS], ["--a", "1"]),  # for every module
        (["one", "two"], [["--a"], []], ["one", "two", NEWCOMERS], [["--a"], [], []]),
    ],
)
def test_what_users_let_run_for_clients_is_run_as_well(
    before: Any, options: Any, now: Any, options_now: Any
) -> None:
    names = ("distributed.client.preload", "distributed.client.preload-argv")
    overrides = Overrides()
    with dask.config.set(dict(zip(names, (before, options), strict=True))):
        overrides.acquire(logging.ERROR)
        assert [dask.config.get(name) for name in names] == [now, options_now]
        overrides.release()
        assert [dask.config.get(name) for name in names] == [before, options]


def test_a_client_can_be_imported_on_windows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
