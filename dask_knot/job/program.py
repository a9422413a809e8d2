"""The program inside every job: ``python -m dask_knot.job STAGE-URL`` runs one shard of a stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from dask_knot.errors import KnotError, NotLoadedError, PluginError, VersionsError
from dask_knot.job.console import Printout, say
from dask_knot.job.machine import JobSite
from dask_knot.job.shard import run_shard
from dask_knot.run import exits
from dask_knot.run.failure import in_short
from dask_knot.run.names import TWIN, ShardId
from dask_knot.run.run import Run
from dask_knot.run.trace import leave_trace

USAGE = "usage: python -m dask_knot.job STAGE-URL [--child INDEX]"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the shard that Batch's environment variables name, or ``--child``, as a twin of it.

    Returns
    -------
    int
        The exit code: 0 whenever every task has its outcome in a manifest, errors included.
    """
    where = JobSite(environment)
    try:
        url, child, attempt = _told(arguments, environment)
        run, stage = Run.of_pack(url)
    except KnotError as error:  # before the next: some of them are ValueErrors
        say(f"{arguments[0]} could not be run: {error}")
        return exits.exit_code(error)
    except ValueError as error:
        sys.stderr.write(f"{USAGE} ({error})\n")
        return 2
    shard = ShardId(stage, child)
    printed = Printout()
    printed.install()
    leave_trace(url, child, environment.get("AWS_BATCH_JOB_ID", ""))
    try:
        run_shard(run, shard, attempt, printed, where)
    except (VersionsError, NotLoadedError, PluginError) as error:
        say(str(error))
        return exits.exit_code(error)
    except KnotError as error:
        say(f"{shard} of run {run.name} could not be run: {error}")
        return exits.exit_code(error)
    except Exception as error:  # what tasks raise is in their manifest: this is ours
        say(in_short(error))
        return exits.exit_code(error)
    return 0


def _told(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, int, int]:
    """Tell the stage's URL, which child of it this is, and which attempt.

    Raises
    ------
    ValueError
        If that isn't said.
    """
    url, *more = arguments
    attempt = int(environment.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    if not more:
        return url, int(environment.get("AWS_BATCH_JOB_ARRAY_INDEX", "0")), attempt
    option, index = more
    if option != "--child" or int(index) < 0:
        raise ValueError(f"{option} {index} is not known")
    return url, int(index), TWIN + attempt
