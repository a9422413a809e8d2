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
from dask_knot.cluster.process import NEWCOMERS, SHUFFLES, SPLIT_EVERY, THRESHOLD, Overrides
from dask_knot.graphs.shuffles import BRANCH
from dask_knot.planning.passes import Passes

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


NUMBERS = (THRESHOLD, SPLIT_EVERY, BRANCH)


def numbers() -> list[Any]:
    return [dask.config.get(name, None) for name in NUMBERS]


def test_passes_are_chosen_while_a_cluster_is_open_and_given_back() -> None:
    before = numbers()
    overrides = Overrides()
    overrides.acquire(logging.ERROR, Passes(pieces=9, branch=80, joined=7))
    overrides.acquire(logging.ERROR, Passes(pieces=1, branch=1, joined=1))  # of another cluster
    assert numbers() == [9, 7, 80]
    with dask.config.set({THRESHOLD: 3}):
        assert numbers() == [3, 7, 80]
    assert numbers() == [9, 7, 80]
    overrides.release()
    assert numbers() == [9, 7, 80]
    overrides.release()
    assert numbers() == before


@pytest.mark.parametrize("name", NUMBERS)
def test_what_the_user_has_set_stays(name: str) -> None:
    overrides = Overrides()
    with dask.config.set({name: 5}):
        overrides.acquire(logging.ERROR, Passes(pieces=9, branch=80, joined=7))
        assert numbers() == [
            5 if one == name else ours for one, ours in zip(NUMBERS, [9, 7, 80], strict=True)
        ]
        overrides.release()
        assert dask.config.get(name) == 5


def test_what_a_file_or_the_environment_says_stays_even_if_it_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DASK_ARRAY__RECHUNK__THRESHOLD", "4")
    overrides = Overrides()
    overrides.acquire(logging.ERROR, Passes(pieces=9, branch=80, joined=7))
    assert numbers() == [4, 7, 80]
    overrides.release()


def test_what_the_user_sets_while_a_cluster_is_open_outlives_it() -> None:
    overrides = Overrides()
    names = (THRESHOLD, "array.rechunk.method")
    with dask.config.set({name: dask.config.get(name, None) for name in names}):
        overrides.acquire(logging.ERROR, Passes(pieces=9, branch=80, joined=7))
        dask.config.set(dict(zip(names, (3, "p2p"), strict=True)))
        overrides.release()
        assert [dask.config.get(name) for name in names] == [3, "p2p"]


def test_a_cluster_that_opened_amid_a_setting_does_not_bring_it_back() -> None:
    overrides = Overrides()
    before = numbers(), methods()
    with dask.config.set({THRESHOLD: 5, "array.rechunk.method": "p2p"}):
        overrides.acquire(logging.ERROR, Passes(pieces=9, branch=80, joined=7))
    overrides.release()
    assert (numbers(), methods()) == before


def test_a_rechunk_is_one_pass_while_a_cluster_is_open() -> None:
    def pieces() -> int:
        made = da.ones((48, 48), chunks=(2, 48)).rechunk((48, 2)).__dask_graph__()
        return sum("rechunk-merge" in str(key) for key in made.to_dict())

    with dask.config.set({THRESHOLD: 4, "array.chunk-size": "2 kiB"}):
        several = pieces()
    with (
        KnotCluster(jobs=1, dashboard_address=None),
        dask.config.set({"array.chunk-size": "2 kiB"}),
    ):
        assert pieces() == 24 < several


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
