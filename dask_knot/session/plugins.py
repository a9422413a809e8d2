"""The worker plugins of a cluster on their way to jobs: one object, written once per change."""

from __future__ import annotations

from collections.abc import Mapping

from dask_knot.run.plugins import Plugin
from dask_knot.run.run import Run


class JobPlugins:
    """Keeps the plugins that were registered last; without any nothing is ever written.

    They are set in the event loop, published and forgotten in the thread that submits: the tuple is
    replaced, never changed.
    """

    def __init__(self) -> None:
        self._plugins: tuple[Plugin, ...] = ()
        self._published: tuple[tuple[Plugin, ...], str] = ((), "")
        self._is_doubted = False  # then what is there is replaced

    def set(self, registered: Mapping[str, bytes]) -> None:
        """Let these plugins set up the jobs that are submitted from now on."""
        self._plugins = tuple(Plugin(name, data) for name, data in registered.items())

    def forget(self) -> None:
        """Write them again before the next jobs: others may not have been able to read them."""
        self._published, self._is_doubted = ((), ""), True

    def publish(self, run: Run) -> str:
        """Write the plugins unless they are there already; tell their digest, or nothing.

        Raises
        ------
        StoreError
            If the store can't be written.
        """
        current = self._plugins
        published, digest = self._published
        if current is not published:
            digest = run.supplies.publish_plugins(current, self._is_doubted) if current else ""
            self._published, self._is_doubted = (current, digest), False
        return digest
