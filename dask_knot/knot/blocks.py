"""Items in blocks: those that are there at once, and those that somebody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from dask_knot.errors import ItemsError

#: Items that are made tasks at once, at first and at most: what is asked for first begins soon.
FIRST, MOST = 64, 10_000
#: So many seconds are waited for more items of a block.
GATHERED = 0.02


def blocks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Give items that are there in blocks, which become larger."""
    size, left = FIRST, iter(items)
    while block := list(islice(left, size)):
        yield block
        size = min(2 * size, MOST)


def read_ahead(items: Iterator[Any]) -> Iterator[list[Any]]:
    """Read items in a thread of their own, and give those that are there meanwhile.

    What was read before an error comes first.

    Raises
    ------
    ItemsError
        If the iterator raises; that is the cause.
    """
    reader = _Reader(items)
    threading.Thread(target=reader.read, name="dask-knot-items", daemon=True).start()
    try:
        while block := reader.take():
            yield block
    finally:
        reader.stop()
    if reader.raised is not None:
        raised = reader.raised
        raise ItemsError(
            f"reading the items of this map stopped after {reader.count:,}: the iterable "
            f"raised {type(raised).__name__}: {raised}. Finished results are kept"
        ) from raised


class _Reader:
    """Reads items ahead of whoever takes them, a block at most."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._changed = threading.Condition()
        self._block: list[Any] = []
        self._is_over = False
        self.count = 0
        self.raised: BaseException | None = None

    def read(self) -> None:
        """Read all, in the thread that does nothing else."""
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # it is the user's own code, and its end that of the items
            self.raised = error
        finally:
            self.stop()

    def take(self) -> list[Any]:
        """Wait for items, and take those that are there; none at their end."""
        with self._changed:
            self._changed.wait_for(lambda: self._block or self._is_over)
            if len(self._block) < FIRST and not self._is_over:
                self._changed.wait(GATHERED)
            block, self._block = self._block, []
            self._changed.notify_all()
        return block

    def stop(self) -> None:
        """Read no more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _put(self, item: Any) -> bool:
        with self._changed:
            if len(self._block) >= MOST:
                self._changed.wait_for(lambda: len(self._block) < MOST or self._is_over)
            if self._is_over:
                return False
            self._block.append(item)
            self.count += 1
            if len(self._block) in (1, FIRST):
                self._changed.notify_all()
        return True
