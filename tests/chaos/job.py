"""The program of jobs under faults: the edge first, then the ordinary one."""

from __future__ import annotations

import os
import runpy

from tests.chaos.edge import install_as_told

if __name__ == "__main__":
    install_as_told(os.environ)
    runpy.run_module("dask_knot.job", run_name="__main__", alter_sys=True)
