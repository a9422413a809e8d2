"""What tasks leave behind keeps no slot: jobs end soon after their last manifest."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from distributed import Client

from dask_knot import KnotCluster
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import inc


def sleep() -> None:
    """Sleep for longer than anybody waits."""
    time.sleep(1000)


def leave_thread() -> int:
    """Leave a thread behind for which Python would wait."""
    threading.Thread(target=sleep, name="left").start()
    return 1


def leave_timer() -> int:
    """Leave a timer behind."""
    threading.Timer(1000, sleep).start()
    return 2


def leave_process() -> int:
    """Leave a process behind for which Python would wait."""
    multiprocessing.get_context("spawn").Process(target=sleep).start()
    return 3


def leave_exit_function() -> int:
    """Leave a function behind that takes its time."""
    atexit.register(sleep)
    return 4


def stop_at_end() -> int:
    """Let the whole process stand still when its work is committed: it can't end itself."""
    atexit.register(os.kill, os.getpid(), signal.SIGSTOP)
    return 5


LEAVE = (leave_thread, leave_timer, leave_process, leave_exit_function)


def call(function: Callable[[], int]) -> int:
    """Call a function."""
    return function()


@pytest.mark.parametrize("more", [{}, {"cores": 2, "processes": True}])
def test_what_is_left_behind_keeps_no_slot(
    open_cluster: Callable[..., KnotCluster], more: dict[str, object]
) -> None:
    cluster = open_cluster(jobs=1, **more)
    with Client(cluster) as client:
        futures = client.map(call, LEAVE)
        assert client.gather(futures) == [1, 2, 3, 4]
        assert client.submit(inc, 1).result(timeout=60) == 2  # there is but one slot
        until(lambda: "the work of this job is done" in "".join(cluster.logs(futures[0]).values()))
        (log,) = cluster.logs(futures[0]).values()
        assert more or "thread 'left'" in log


def test_a_job_that_can_not_end_is_ended_and_what_waits_for_it_is_computed(
    open_cluster: Callable[..., KnotCluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = open_cluster(jobs=1)
    inside.session(cluster)._lookout._overstays._after = 2.0
    with Client(cluster) as client:
        stopped = client.submit(stop_at_end, resources={"MEMORY": 2**29})
        behind = client.submit(inc, stopped)
        other = client.submit(inc, 1)  # there is but one slot
        assert client.gather([stopped, behind, other]) == [5, 6, 2]
        assert "the job doesn't exit" in caplog.text
