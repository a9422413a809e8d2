"""A child learns that nobody needs its shard: Batch can't end it without failing its array."""

from __future__ import annotations

import time

from dask_knot.errors import StoreError
from dask_knot.run import codec, names
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store

#: So many seconds lie between two questions at most.
LONGEST = 300.0


class Unneeded:
    """Looks into the store ever more seldom: a child runs for twice as long as it should, at most.

    Parameters
    ----------
    store : Store
        Where the client says what is unneeded.
    run : str
        The run that the shard belongs to.
    shard : ShardId
        The shard.
    first : float
        Seconds until the first look.
    """

    def __init__(self, store: Store, run: str, shard: ShardId, first: float) -> None:
        self._store = store
        self._name = names.unneeded(run, shard.stage)
        self._index = str(shard.index).encode()
        self._pause = first
        self._next = time.monotonic() + first

    def __call__(self) -> bool:
        """Tell whether the shard is known to be unneeded; most calls only look at the clock."""
        if time.monotonic() < self._next:
            return False
        self._pause = min(2 * self._pause, LONGEST)
        self._next = time.monotonic() + self._pause
        try:
            data = self._store.get(self._name)
            codec.check(data)
            return self._index in bytes(codec.unframe(data)[0]).split()
        except StoreError:  # nothing is unneeded, or nobody knows at the moment
            return False
