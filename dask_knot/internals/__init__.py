"""Everything that is used of Dask and distributed without being promised by their documentation.

Dask is built to be extended, yet not everywhere: some names that this project needs begin with an
underscore, or stand in modules that do. Any release may change them. So they are used in this room
only (a test reads all the others), behind names of ours that say what they are for.
``tests/test_internals.py`` checks each of them, and ``.ci/dask_releases.py`` does so with the
oldest and the newest release that ``setup.cfg`` allows. Mend it when Dask changes something.

Methods that our classes override are no part of it: they stand in the class that overrides them,
and the same test holds a list of them. Jobs import this as well, which costs them nothing: whatever
is imported of distributed imports all of it.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from contextvars import Token
from copy import copy
from types import FrameType
from typing import Any

from dask import _expr, _task_spec
from dask._expr import Expr, FinalizeCompute, HLGExpr, LLGExpr
from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, NestedContainer, Task, TaskRef
from dask._task_spec import Tuple as TupleNode
from dask.base import collections_to_expr
from dask.context import thread_state as thread_state  # for who asks what a thread runs
from dask.typing import Key
from distributed import Client, Future, Scheduler, Worker, threadpoolexecutor
from distributed.publish import PublishExtension
from distributed.scheduler import TaskState, _cull, _materialize_graph
from distributed.worker import _worker_cvar

#: The nodes of graphs, and expressions: public in all but the names of their modules.
__all__ = [
    "Alias",
    "DataNode",
    "Dict",
    "Expr",
    "GraphNode",
    "HLGExpr",
    "LLGExpr",
    "List",
    "NestedContainer",
    "Task",
    "TaskRef",
    "TupleNode",
]

# --- Graphs: expressions, and the tasks that they become ------------------------------------------

#: What a fused task calls; in a release without it, no task is taken for a fused one.
EXECUTE_SUBGRAPH = getattr(_task_spec, "_execute_subgraph", object())
#: The file whose frames stand between a task and whoever calls it.
TASK_FILE = str(_task_spec.__file__)

#: What stands for an annotation that a task has not, while others in its collection have it.
NO_ANNOTATION: Any = getattr(_expr, "_AnnotationsTombstone", ())


def finalized(collections: Iterable[Any]) -> Expr:
    """Give the expression of collections that are computed together, as a client sends it."""
    return FinalizeCompute(collections_to_expr(list(collections))).optimize()


def materialized(expr: Expr) -> tuple[dict[Key, GraphNode], dict[str, dict[Key, Any]]]:
    """Make the tasks of an expression, and its annotations by type, as Dask's scheduler does."""
    tasks, annotations = _materialize_graph(expr, validate=False)
    return tasks, annotations


def culled(tasks: dict[Key, GraphNode], keys: Collection[Key]) -> dict[Key, GraphNode]:
    """Leave out the tasks that no key needs; their order is lost."""
    found: dict[Key, GraphNode] = _cull(tasks, set(keys))
    return found


def named(key: Key, node: GraphNode) -> GraphNode:
    """Give a node the name under which its graph holds it.

    Dask calls an alias as its target, a container None; one node may stand under several names.
    """
    if node.key is key or node.key == key:
        return node
    node = copy(node)  # with all of it: `substitute` of an alias leaves the name as it is
    node.key = key
    return node


def like(
    node: Task, func: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]
) -> Task:
    """Make a task that calls something else in the place of another one.

    It is known as what it is to Dask: whether it produces data, say, as `data_producer` tells.
    """
    return Task(node.key, func, *args, _data_producer=node.data_producer, **kwargs)


class _NamedGraph(LLGExpr):  # type: ignore[misc]
    _name = "knot-graph"  # others make one of all that they hold

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return _sent_graph, (self.deterministic_token,)


#: Graphs on their way to the scheduler of this very process.
_sent_graphs: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def _sent_graph(token: str) -> Any:
    return _sent_graphs[token]


def named_graph(tasks: Mapping[Key, GraphNode], token: str) -> Expr:
    """Make an expression of a graph for the scheduler of this process, to hold till it is there.

    It has no look at what its tasks hold, and sends none of it. Others make their names of tokens
    of all that, and take locks for it.
    """
    token = f"{token}-{uuid.uuid4().hex}"  # other clusters of this process count as well
    graph = _sent_graphs[token] = _NamedGraph(tasks, _determ_token=token)
    return graph


# --- What tasks find in their thread --------------------------------------------------------------


def enter_worker(worker: object) -> Token[Any]:
    """Let `get_worker` find something in this thread, or coroutine."""
    token: Token[Any] = _worker_cvar.set(worker)
    return token


def leave_worker(token: Token[Any]) -> None:
    """Let `get_worker` find what it found before."""
    _worker_cvar.reset(token)


def present_worker(otherwise: Any = None) -> Any:
    """Give what `get_worker` finds here."""
    return _worker_cvar.get(otherwise)


def enter_pool() -> None:
    """Let `secede` and `rejoin` work in this thread: nobody waits for its place."""
    threadpoolexecutor.thread_state.executor = _NoPool()


def leave_pool() -> None:
    """Take this thread out of its pool."""
    del threadpoolexecutor.thread_state.executor


class _NoPool:
    """The thread pool of `secede` and `rejoin`, in which nobody waits for a place."""

    def __init__(self) -> None:
        self._threads = self._rejoin_list = self
        self._rejoin_lock = nullcontext()

    def remove(self, thread: threading.Thread) -> None:
        """Let a thread go on without a place."""

    def append(self, waiting: tuple[threading.Thread, threading.Event]) -> None:
        """Give a thread its place back at once."""
        waiting[1].set()

    def submit(self, call: Callable[[], Any]) -> None:
        """Take the call that wakes a thread which would give its place away."""

    def _adjust_thread_count(self) -> None:
        """Start no thread."""


def begin_task(key: Key, start: float) -> None:
    """Let Dask's functions know which task this thread runs, and since when."""
    thread_state.key, thread_state.start_time = key, start


def end_task() -> None:
    """Let Dask's functions know that this thread runs no task."""
    del thread_state.key, thread_state.start_time


def present_task() -> Key:
    """Give the key of the task that this thread runs."""
    return thread_state.key


# --- Errors: which of Dask's functions raised one -------------------------------------------------

#: Functions that raise where there is no client.
_CLIENT_SEARCHES = ("default_client", "current")
#: The function that raises where a graph has not all of its keys, and its module.
_LOCAL_START = ("dask.local", "start_state_from_dask")


def is_unbound(frame: FrameType) -> bool:
    """Tell whether an error was raised by a future that has no client."""
    future = frame.f_locals.get("self")
    return isinstance(future, Future) and not future._client


def is_client_search(frame: FrameType) -> bool:
    """Tell whether an error was raised by what looked for a client."""
    return frame.f_code.co_name in _CLIENT_SEARCHES


def is_local_start(frame: FrameType) -> bool:
    """Tell whether an error was raised by the scheduler of `dask.compute` before it began."""
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) == _LOCAL_START


def is_shutdown(frame: FrameType) -> bool:
    """Tell whether a cluster is closed by `Client.shutdown`."""
    return frame.f_code is Client._shutdown.__code__


# --- Plugins --------------------------------------------------------------------------------------


def install_of(plugin: object) -> Callable[[], None] | None:
    """Give what a plugin installs, if it is the half of an `InstallPlugin` that workers get."""
    install: Callable[[], None] | None = getattr(plugin, "_install_fn", None)
    return install


# --- Clients and clusters of this process, and their loops ----------------------------------------


def clients_here() -> list[Client]:
    """Give all clients of this process that somebody still holds."""
    return list(Client._instances)


def renew_futures() -> None:
    """Let futures be told from those of the process of which this is a fork."""
    Future._uid = uuid.uuid4().hex


def start_loop(owner: Any) -> None:
    """Start the thread of a client's or cluster's event loop, unless somebody else runs it."""
    owner._loop_runner.start()


def stop_loop(owner: Any) -> None:
    """Stop the thread of a client's or cluster's event loop, unless others use it."""
    owner._loop_runner.stop()


def log_of(cluster: Any) -> Callable[[str], None]:
    """Give what adds a line to the log of a cluster, as `get_logs` and its widget show it."""
    log: Callable[[str], None] = cluster._log
    return log


# --- Scheduler and worker -------------------------------------------------------------------------


def number_run(task: Any) -> int:
    """Give a task of a scheduler the number of its next run."""
    task.run_id = number = next(TaskState._run_id_iterator)
    return int(number)


def resize_worker(worker: Worker, scheduler: Scheduler, nthreads: int) -> None:
    """Let a worker, also when it connects anew, and its scheduler report another capacity."""
    worker.state.nthreads = nthreads
    known = scheduler.workers.get(worker.address)
    if known is not None:
        scheduler.total_nthreads += nthreads - known.nthreads
        known.nthreads = nthreads


def has_news(scheduler: Scheduler) -> bool:
    """Tell whether a scheduler holds messages that its clients were not sent yet."""
    return any(comm.buffer for comm in scheduler.client_comms.values())


async def after_batch(extension: PublishExtension, client: str, uid: bytes) -> None:
    """Wait until a client's earlier messages have arrived, which go another way."""
    await extension._sync_batched_send(client, uid)


def keep_folder(server: Any) -> None:
    """Let the end of a scheduler's or worker's process leave its folder: it is another's."""
    if server._workdir is not None:
        server._workdir._finalizer.detach()
