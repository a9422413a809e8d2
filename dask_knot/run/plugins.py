"""Worker plugins as they travel: one object holds all of a cluster's, named by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from dask_knot.run import codec, names
from dask_knot.run.codec import Bytes
from dask_knot.run.store import Store


class Plugin(NamedTuple):
    """A plugin as it travels: its name, and the plugin pickled."""

    name: str
    data: bytes


def encode(plugins: Sequence[Plugin]) -> tuple[str, list[Bytes]]:
    """Turn plugins into a digest to find them by, and the frames of their object."""
    digest = hashlib.sha256()
    for name, data in plugins:
        digest.update(b"%d %d " % (len(name), len(data)) + name.encode() + data)
    return digest.hexdigest()[:32], codec.encode([tuple(plugin) for plugin in plugins])


def read(store: Store, run: str, digest: str) -> list[Plugin]:
    """Read the plugins that a shard was packed with; without any, nothing is asked for.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    if not digest:
        return []
    return [Plugin(*plugin) for plugin in codec.decode(store.get(names.plugins(run, digest)))]
