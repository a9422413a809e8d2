"""Cancels what reads a key through keys that no client holds, such as hubs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dask.typing import Key
from distributed import Scheduler


class CancelsThrough(Scheduler):  # type: ignore[misc]
    """Dask's own cancel takes it for granted that a client wants whatever reads a key."""

    def stimulus_cancel(self, keys: Collection[Key], client: str, **options: Any) -> None:
        """Cancel keys; in the place of those that nobody wants, what reads them."""
        wanted: dict[Key, None] = {}
        seen: set[Key] = set()
        left = list(keys)[::-1]
        while left:
            key = left.pop()
            if key in seen:  # there may be more ways to it than can be counted
                continue
            seen.add(key)
            task = self.tasks.get(key)
            if task is not None and task.who_wants:
                wanted[task.key] = None
            elif task is not None:
                left += [reader.key for reader in task.dependents]
        super().stimulus_cancel(list(wanted), client, **options)
