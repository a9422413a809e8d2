"""joblib's order to nest work on the cluster is carried out in the job."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from dask_knot.running.nested import keep_nested_work_here
keep_nested_work_here()
assert "joblib" not in sys.modules
import joblib
keep_nested_work_here()
with joblib.parallel_config("dask"):
    assert joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, 2)) == [1, 2]
    assert joblib.effective_n_jobs(-1) == 1
"""


def test_work_that_is_nested_runs_here() -> None:
    """In a process of its own: what is registered with joblib stays."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
