"""joblib's order to nest work on the cluster is carried out in the job."""

from __future__ import annotations

import subprocess
import sys

import pytest

HERE = """
import sys
from dask_knot.task.nesting import keep_nested_work_here
keep_nested_work_here()
assert "joblib" not in sys.modules
import joblib
keep_nested_work_here()
with joblib.parallel_config("dask"):
    assert joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, 2)) == [1, 2]
    assert joblib.effective_n_jobs(-1) == 1
"""
IN_A_PROCESS_OF_A_JOB = """
from dask._task_spec import Task
from distributed.protocol import pickle
from joblib._dask import Batch
from dask_knot.job.tasks import run_pickled
calls = [(abs, (-1,), {}), (abs, (2,), {})]
ended = pickle.loads(run_pickled(pickle.dumps((Task("calls", Batch(calls), calls), {}))))
assert ended.value == [1, 2], ended.value
"""


@pytest.mark.parametrize("program", [HERE, IN_A_PROCESS_OF_A_JOB])
def test_work_that_is_nested_runs_here(program: str) -> None:
    """In a process of its own: what is registered with joblib stays."""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
