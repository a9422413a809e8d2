"""Claims on what shards hand over: a client's, or the child's own, which then runs it after all."""

from __future__ import annotations

import logging
from dataclasses import replace

from dask_knot.errors import CorruptObjectError, ReadOnlyStoreError
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId
from dask_knot.run.orders import Claimant
from dask_knot.run.run import Run

logger = logging.getLogger(__name__)


class Claims:
    """Claims for the clients what children hand over, before anybody here hears of it.

    What was planned again before it is claimed might be computed twice: a child that has run all
    that it kept takes the rest back, unless a client was first. For several threads: each shard is
    claimed by whoever reads the one manifest that hands over.

    Parameters
    ----------
    run : Run
        Where claims are; without patience, as manifests are read again when a claim fails.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[ShardId, Claimant] = {}

    def settle(self, shard: ShardId, manifest: Manifest) -> Manifest:
        """Give a manifest as it is to be told: handing over only what a client has claimed.

        As a last manifest always does. Values that were written for what its child has taken back
        stand behind the shard's own outputs, and nobody asks for them.

        Raises
        ------
        StoreError
            If the store can't be asked; nothing is decided then.
        """
        if manifest.handed is None or manifest.final:
            return manifest
        if self._claimant(shard) is Claimant.CLIENT:
            return manifest
        return replace(manifest, handed=None)

    def _claimant(self, shard: ShardId) -> Claimant:
        if shard not in self._known:
            try:
                self._known[shard] = self._run.claim(shard, Claimant.CLIENT)
            except ReadOnlyStoreError:  # whoever may write claims; the last manifest will tell
                return Claimant.CHILD
            except CorruptObjectError as error:  # what the child makes of it, its last one tells
                logger.warning("can't read the claim on what shard %s hands over: %s", shard, error)
                return Claimant.CHILD
        return self._known[shard]
