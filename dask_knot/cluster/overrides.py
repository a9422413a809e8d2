"""Settings of the whole process that hold while any cluster is open."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock

import dask
from distributed.utils import silence_logging_cmgr

#: P2P needs live workers; graphs that are built while a cluster is open use tasks instead.
SHUFFLES = {"dataframe.shuffle.method": "tasks", "array.rechunk.method": "tasks"}


class Overrides:
    """Set by the first cluster that opens, restored when the last one has closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._restore = ExitStack()

    def acquire(self, silence_logs: int) -> None:
        """Note that a cluster opens; log lines of Dask below a level are not shown meanwhile."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._restore.enter_context(dask.config.set(SHUFFLES))
            for root in ("distributed", "bokeh") if silence_logs else ():
                self._restore.enter_context(silence_logging_cmgr(silence_logs, root))

    def release(self) -> None:
        """Note that a cluster has closed."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


#: One for the process, as `dask.config` and `logging` are.
overrides = Overrides()
