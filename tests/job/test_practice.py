"""The practice of a process before its job: it changes nothing that a task could see."""

from __future__ import annotations

import os
import signal
import sys
import threading

import dask.config

from dask_knot.job.practice import practise


def visible() -> list[object]:
    """Describe what a process has one of."""
    return [
        [*sys.argv],
        [*sys.path],
        sys.stdout,
        sys.stderr,
        dict(os.environ),
        os.getcwd(),
        threading.active_count(),
        signal.getsignal(signal.SIGTERM),
        dask.config.collect(),
    ]


def test_it_leaves_the_process_as_it_was() -> None:
    before = visible()
    practise()
    practise()
    assert visible() == before


def test_it_leaves_no_module_that_was_run() -> None:
    practise()
    assert "practised" not in sys.modules
