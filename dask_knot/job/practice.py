"""The practice of a process that will run a job: it runs a shard of next to nothing, in memory.

What a process that was forked writes to for the first time must be copied, a page after the other.
Whoever has practised has that behind it when the job comes, and nothing else: neither the run nor
its values are kept.
"""

from __future__ import annotations

import os
import runpy

from dask_knot.internals import Task
from dask_knot.job.console import Printout
from dask_knot.job.machine import JobSite
from dask_knot.job.shard import run_shard
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import Options, ShardWork

_STAGE = StageId(0, 0)


def practise() -> None:
    """Do in memory what every job does."""
    runpy.run_module("dask_knot.job", run_name="practised")
    run = Run(Store("memory://"), "practice")
    work = ShardWork([Task("practised", abs, -1)], [], {}, ["practised"], Options())
    run.write_pack(_STAGE, [work])
    run_shard(run, ShardId(_STAGE, 0), 1, Printout(), JobSite(os.environ))
