"""Worker plugins as they travel: one object holds all of a cluster's, named by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from dask_knot.run import codec
from dask_knot.run.codec import Bytes


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


def decode(data: Bytes) -> list[Plugin]:
    """Read what `encode` wrote.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    """
    return [Plugin(*plugin) for plugin in codec.decode(data)]
