"""The user's own modules on their way to jobs: one object, written once per change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dask_knot.run.run import Run

if TYPE_CHECKING:
    from dask_knot.modules import OwnModules
    from dask_knot.modules.collection import ModuleSnapshot


class JobBundle:
    """Publishes the user's own modules as they are when work is submitted.

    Belongs to the thread that submits.

    Parameters
    ----------
    modules : OwnModules, optional
        What is looked at; None where jobs find modules where they are: nothing is ever written.
    clock : callable
        The time of files, in nanoseconds.
    """

    def __init__(
        self, modules: OwnModules | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._modules = modules
        self._clock = clock
        self._published: tuple[ModuleSnapshot | None, str] = (None, "")
        self._is_doubted = False  # then what is there is replaced

    def forget(self) -> None:
        """Write them again before the next jobs: others may not have been able to read them."""
        self._published, self._is_doubted = (None, ""), True

    def publish(self, run: Run) -> str:
        """Write the modules unless they are there already; tell their digest, or nothing.

        Raises
        ------
        StoreError
            If the store can't be written.
        """
        now = self._clock()
        snapshot = self._modules.look() if self._modules is not None else None
        if snapshot is None or self._modules is None:
            return ""
        known, digest = self._published
        if snapshot != known:
            bundle = self._modules.read(snapshot)
            if self._is_doubted or bundle.digest != digest:
                digest = run.supplies.publish_bundle(bundle, self._is_doubted)
            self._is_doubted = False
            self._published = (None if snapshot.is_young(now) else snapshot), digest
        return digest
