"""Answers `recreate_error_locally` and `recreate_task_locally`: jobs' tasks, for the client to run.

Dask's scheduler knows the names of wanted keys only, and the tasks inside shards not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from dask.typing import Key
from distributed.protocol.serialize import ToPickle
from distributed.recreate_tasks import ReplayTaskScheduler
from distributed.utils import offload

from dask_knot.errors import MissingObjectError
from dask_knot.internals import GraphNode
from dask_knot.run.failure import Failure
from dask_knot.session.session import Session


class Replay(ReplayTaskScheduler):  # type: ignore[misc]
    """Takes the place of the scheduler's own extension.

    Parameters
    ----------
    scheduler : Scheduler
        Knows which values a client can gather.
    session : Session
        Knows the tasks and how they failed.
    """

    def __init__(self, scheduler: Any, session: Session) -> None:
        super().__init__(scheduler)
        self._session = session

    async def get_error_cause(
        self, *args: Any, keys: Collection[Key] = (), **kwargs: Any
    ) -> Key | None:
        """Name the task that failed first, inside a shard as may be, on the way to some keys."""
        blamed: Key | None = super().get_error_cause(keys=keys)
        if blamed is None:
            return None
        session = self._session
        failure, graph = session.failure_of(blamed), session.graph_of(blamed)
        if graph is None or failure is None or isinstance(failure, Exception):
            return blamed
        name = Failure.decode(await offload(self._session.values.read, failure)).key
        inner = await offload(_named, graph.tasks, name)
        return blamed if inner is None else inner

    def get_runspec(self, *args: Any, key: Any = None, **kwargs: Any) -> ToPickle:
        """Give a task that makes the value of a key from values that the client can gather.

        Raises
        ------
        MissingObjectError
            If nobody has the task any more.
        """
        key = tuple(key) if isinstance(key, list) else key  # as it travels
        graph = self._session.graph_of(key)
        if graph is None or key not in graph.tasks:
            raise MissingObjectError(
                f"there is no task for {key!r} here: either it was scattered, or it was "
                "released with everything computed from it"
            )
        tasks = cast(dict[Key, GraphNode], graph.tasks_before(key, self._is_in_memory))
        return ToPickle(GraphNode.fuse(*tasks.values(), key=key))

    def _is_in_memory(self, key: Key) -> bool:
        task = self.scheduler.tasks.get(key)
        return task is not None and task.state == "memory"


def _named(keys: Collection[Key], name: str) -> Key | None:
    """Find the key that was written as text."""
    return name if name in keys else next((key for key in keys if str(key) == name), None)
