"""The program inside every job: ``python -m dask_knot.job STAGE-URL`` runs one shard of a stage."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from dask_knot.errors import KnotError, NotLoadedError, PluginError, VersionsError
from dask_knot.running import exits
from dask_knot.running.failure import in_short
from dask_knot.running.leaving import leave
from dask_knot.running.printed import Printed, say
from dask_knot.running.shard import run_shard
from dask_knot.store import names
from dask_knot.store.names import ShardId
from dask_knot.store.patience import IN_JOBS
from dask_knot.store.store import Store


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the shard that Batch's environment variables name.

    Returns
    -------
    int
        The exit code: 0 whenever every task has its outcome in a manifest, errors included.
    """
    try:
        (url,) = arguments
        root, run, stage = names.parse_pack(url)
    except ValueError as error:
        sys.stderr.write(f"usage: python -m dask_knot.job STAGE-URL ({error})\n")
        return 2
    shard = ShardId(stage, int(environment.get("AWS_BATCH_JOB_ARRAY_INDEX", "0")))
    attempt = int(environment.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    printed = Printed()
    printed.install()
    try:
        run_shard(Store.existing(root, IN_JOBS), run, shard, attempt, printed)
    except (VersionsError, NotLoadedError, PluginError) as error:
        say(str(error))
        return exits.code_of(error)
    except KnotError as error:
        say(f"shard {shard} of {run} could not be run: {error}")
        return exits.code_of(error)
    except Exception as error:  # what tasks raise is in their manifest: this is ours
        say(in_short(error))
        return exits.code_of(error)
    return 0


if __name__ == "__main__":
    code = 1  # what Python ends with after an exception
    try:
        code = main(sys.argv[1:], os.environ)
    finally:
        leave(code)
    sys.exit(code)
