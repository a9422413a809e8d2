"""The tests of dask_knot, room by room."""

from __future__ import annotations

import os
import sys

# Where the environment forbids it, each of the hundreds of processes that tests start would compile
# the package anew, and each worker all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
