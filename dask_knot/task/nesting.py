"""What joblib's Dask backend means inside a job: work that is nested stays in the job."""

from __future__ import annotations

import sys


def keep_nested_work_here() -> None:
    """Let joblib run what a task asks it to do with Dask in that task, one after another.

    joblib sends each batch of calls with the order to nest further calls on the same cluster, and
    looks for a client as soon as a batch starts. A job has none: it never connects to anything but
    the store.
    """
    joblib = sys.modules.get("joblib.parallel")
    if joblib is not None:  # otherwise no task that was sent here is joblib's
        joblib.register_parallel_backend("dask", joblib.SequentialBackend)
