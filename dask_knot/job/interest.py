"""A child learns that nobody needs its shard: Batch can't end it without failing its array."""

from __future__ import annotations

import time

from dask_knot.errors import StoreError
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run

#: So many seconds lie between two questions at most.
LONGEST = 300.0


class Unneeded:
    """Looks into the store ever more seldom: a child runs for twice as long as it should, at most.

    Parameters
    ----------
    run : Run
        Where the client says what is unneeded; without patience.
    shard : ShardId
        The shard.
    first : float
        Seconds until the first look.
    """

    def __init__(self, run: Run, shard: ShardId, first: float) -> None:
        self._run = run
        self._shard = shard
        self._pause = first
        self._next = time.monotonic() + first

    def __call__(self) -> bool:
        """Tell whether the shard is known to be unneeded; most calls only look at the clock."""
        if time.monotonic() < self._next:
            return False
        self._pause = min(2 * self._pause, LONGEST)
        self._next = time.monotonic() + self._pause
        try:
            return self._shard.index in self._run.read_unneeded(self._shard.stage)
        except StoreError:  # nothing is unneeded, or nobody knows at the moment
            return False
