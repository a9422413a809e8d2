"""Supplies: what jobs are set up with before their tasks are unpickled, each named by its digest.

An object here is written once, however many stages name it; what is there is kept, unless it is in
doubt that jobs can read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dask_knot.run import bundle, plugins
from dask_knot.run.bundle import Bundle
from dask_knot.run.codec import Bytes
from dask_knot.run.names import Names
from dask_knot.run.plugins import Plugin
from dask_knot.run.store import Store


class Supplies:
    """The worker plugins of a run, and its bundles of the user's own modules.

    Each verb is one request, and none if there is no digest. All raise what a `Run` raises.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def publish_plugins(self, registered: Sequence[Plugin], is_doubted: bool = False) -> str:
        """Write worker plugins, and give the digest to find them by."""
        digest, frames = plugins.encode(registered)
        self._publish(self._names.plugins(digest), frames, is_doubted)
        return digest

    def read_plugins(self, digest: str) -> list[Plugin]:
        """Read the plugins that a shard was packed with."""
        return plugins.decode(self._store.get(self._names.plugins(digest))) if digest else []

    def publish_bundle(self, modules: Bundle, is_doubted: bool = False) -> str:
        """Write modules of the user's own, and give the digest to find them by."""
        digest = modules.digest
        self._publish(self._names.bundle(digest), bundle.encode(modules), is_doubted)
        return digest

    def read_bundle(self, digest: str) -> Bundle | None:
        """Read the modules of the user's own that a shard was packed with."""
        return bundle.decode(self._store.get(self._names.bundle(digest))) if digest else None

    def _publish(self, name: str, frames: Iterable[Bytes], is_doubted: bool) -> None:
        write = self._store.put if is_doubted else self._store.put_new
        write(name, [*frames])
