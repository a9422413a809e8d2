"""Runs the shard that is named on the command line, and ends the process with its exit code."""

from __future__ import annotations

import os
import sys

from dask_knot.job.burden import memory_limit
from dask_knot.job.exit import leave
from dask_knot.job.heap import keep_freed
from dask_knot.job.program import main

if __name__ == "__main__":
    code = 1  # what Python ends with after an exception
    try:
        keep_freed(memory_limit())
        code = main(sys.argv[1:], os.environ)
    finally:
        leave(code)
    sys.exit(code)
