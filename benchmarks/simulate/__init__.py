"""Hours of AWS in seconds here: the real planner, tracker and session against a simulated Batch.

The way of one run
    `numbers` is the one table of what the simulated world is made of, each number with its source;
    `world` says how large it is, and what comes out of it. `fleet` starts children on `instances`,
    which boot, pull images, are billed and reclaimed; `network` tells what transfers take, `api`
    what calls do. Policies of others drive a fleet by its own methods, on a `Timeline`. `ours` runs
    a real session on it, in virtual time: `batch` answers its calls, `objects` holds its run, and
    `child` does what `dask_knot.job` does, without values.

The rules of this room: no clock but that of the simulation, no randomness but by the seed, nothing
that depends on hashes. Two runs give the same numbers.
"""
