"""What is used of Dask without its documentation's promise is there, and does what is relied upon.

These are the tests to run against another release of Dask: see ``.ci/dask_releases.py``.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import operator
import pkgutil
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import dask
import dask.array as da
import pytest
from dask import _task_spec
from dask.core import flatten
from distributed import (
    Client,
    Future,
    InstallPlugin,
    Scheduler,
    Worker,
    default_client,
    get_client,
    get_worker,
    rejoin,
    secede,
)
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.protocol import deserialize, pickle, serialize, to_serialize
from distributed.publish import PublishExtension
from distributed.recreate_tasks import ReplayTaskScheduler
from distributed.worker import thread_state

import dask_knot
from dask_knot import internals
from dask_knot.internals import Alias, DataNode, GraphNode, Task, TaskRef, clients

# --- Graphs ---------------------------------------------------------------------------------------


def test_nodes_are_those_of_dask() -> None:
    for name in internals.__all__:
        kind = getattr(internals, name)
        assert kind.__module__ in ("dask._task_spec", "dask._expr")
    assert issubclass(internals.TupleNode, internals.NestedContainer)


def test_a_node_says_what_it_reads_and_can_be_called() -> None:
    node = Task("b", operator.add, TaskRef("a"), 1)
    assert (node.key, node.func, list(node.dependencies)) == ("b", operator.add, ["a"])
    assert node({"a": 2}) == 3
    assert node.substitute({"a": "c"}).dependencies == {"c"}
    assert DataNode("a", 5)({}) == DataNode("a", 5).value == 5
    assert Alias("x", "a")({"a": 7}) == 7
    whole = internals.List(TaskRef("a"), 2)
    assert (whole.klass, whole({"a": 1})) == (list, [1, 2])
    assert internals.Dict({"k": TaskRef("a")})({"a": 1}) == {"k": 1}


X = TaskRef("x")
NODES: list[tuple[GraphNode, object]] = [
    (DataNode("other", 7), 7),
    (DataNode(None, 7), 7),
    (Alias("x"), 5),
    (Alias("other", "x"), 5),
    (Task("other", max, X, 3), 5),
    (Task("other", dict, a=X), {"a": 5}),
    (internals.List(1, X), [1, 5]),
    (internals.TupleNode(X), (5,)),
    (_task_spec.Set(1, X), {1, 5}),
    (internals.Dict({"a": X}), {"a": 5}),
    (GraphNode.fuse(Task("a", abs, X), Task("b", abs, TaskRef("a"))), 5),
]


@pytest.mark.parametrize(("node", "value"), NODES, ids=repr)
def test_a_node_gets_the_name_of_its_place(node: GraphNode, value: object) -> None:
    before = node.key
    found = pickle.loads(pickle.dumps(internals.named("k", node)))
    assert found.key == "k"
    assert found.dependencies == node.dependencies
    assert found({"x": 5}) == value
    assert node.key == before  # it may stand in another place as well


def test_a_node_that_has_its_name_is_left_alone() -> None:
    node = Task("k", abs, 1)
    assert internals.named("k", node) is node


def test_fused_tasks_call_the_function_that_is_known() -> None:
    fused = Task.fuse(Task("a", operator.neg, 1), Task("b", operator.neg, TaskRef("a")))
    assert fused.func is internals.EXECUTE_SUBGRAPH
    inner, target, names, *reads = fused.args
    assert (set(inner), target, list(names), reads) == ({"a", "b"}, "b", [], [])
    assert GraphNode.fuse(Task("c", operator.neg, TaskRef("d")), key="c").dependencies == {"d"}


def test_the_frames_of_a_task_are_in_the_file_that_is_known() -> None:
    assert internals.TASK_FILE == Task.__call__.__code__.co_filename == _task_spec.__file__


def test_collections_become_tasks_that_can_be_culled() -> None:
    expr = internals.finalized([da.ones(4, chunks=2).sum(), dask.delayed(operator.neg)(1)])
    keys = set(flatten(expr.__dask_keys__()))
    tasks, annotations = internals.materialized(expr)
    assert annotations == {}
    assert all(isinstance(node, GraphNode) for node in tasks.values())
    needed = internals.culled({**tasks, "unused": DataNode("unused", 0)}, keys)
    assert keys <= set(needed) <= set(tasks)


def test_annotations_come_by_type() -> None:
    with dask.annotate(priority=3):
        expr = internals.finalized([da.ones(4, chunks=2) + 1])
    with dask.config.set({"optimization.fuse.active": False}):
        tasks, annotations = internals.materialized(expr)
    assert set(annotations) == {"priority"}
    assert set(annotations["priority"].values()) == {3}
    assert set(annotations["priority"]) <= set(tasks)


@pytest.mark.parametrize("is_producer", [True, False])
def test_a_task_like_another_produces_data_if_that_one_does(is_producer: bool) -> None:
    node = Task("a", operator.neg, 1, _data_producer=is_producer)
    made = internals.like(node, int, ["11"], {"base": 2})
    assert (made.key, made.data_producer, made({})) == ("a", is_producer, 3)


class Silent:
    """What must not be asked for a token."""

    def __dask_tokenize__(self) -> object:
        raise AssertionError("a token was made")


def test_a_named_graph_is_sent_without_a_look_at_its_tasks() -> None:
    for number in (1, 2):
        tasks = {"a": Task("a", partial(isinstance, Silent()), number)}
        expr = internals.named_graph(tasks, f"graph-{number}")
        message = serialize(to_serialize(expr))
        found, annotations = internals.materialized(deserialize(*message))
        assert found["a"] is tasks["a"]  # nothing of it was pickled
        assert annotations == {}


def test_a_named_graph_is_there_as_long_as_it_is_held() -> None:
    held = [internals.named_graph({"a": Task("a", operator.neg, n)}, "same") for n in (1, 2)]
    messages = [serialize(to_serialize(one)) for one in held]
    assert [deserialize(*message) for message in messages] == held
    del held
    with pytest.raises(KeyError):
        deserialize(*messages[0])


def test_runs_are_numbered_as_dask_does(threads_client: Client) -> None:
    future = threads_client.submit(operator.neg, 1)
    assert future.result() == -1
    task = threads_client.cluster.scheduler.tasks[future.key]
    before = task.run_id
    assert internals.number_run(task) == task.run_id > before


# --- What tasks find ------------------------------------------------------------------------------


def test_the_worker_is_found_until_it_is_left() -> None:
    assert internals.present_worker() is None
    token = internals.enter_worker("outer")
    inner = internals.enter_worker("inner")
    assert get_worker() == internals.present_worker() == "inner"
    internals.leave_worker(inner)
    assert get_worker() == "outer"
    internals.leave_worker(token)
    with pytest.raises(ValueError, match="No worker found"):
        get_worker()


def test_get_client_asks_the_worker_for_its_own() -> None:
    class Host:
        def _get_client(self, timeout: float | None = None) -> str:
            return "its client"

    token = internals.enter_worker(Host())
    try:
        assert get_client() == "its client"
    finally:
        internals.leave_worker(token)


def test_threads_secede_and_rejoin() -> None:
    called = []

    class Loop:
        def add_callback(self, call: Callable[..., None], *arguments: object) -> None:
            called.append(call)

    class Host:
        loop = Loop()

        def handle_stimulus(self, *events: object) -> None:
            pass

    token = internals.enter_worker(Host())
    internals.enter_pool()
    internals.begin_task("a", 0.0)
    try:
        secede()
        rejoin()
    finally:
        internals.end_task()
        internals.leave_pool()
        internals.leave_worker(token)
    assert len(called) == 1


def test_the_task_of_a_thread_is_what_workers_call_it() -> None:
    internals.begin_task(("x", 0), 12.5)
    assert (internals.present_task(), thread_state.key) == (("x", 0), ("x", 0))
    assert thread_state.start_time == 12.5
    internals.end_task()
    assert not hasattr(thread_state, "key")


# --- Errors ---------------------------------------------------------------------------------------


def innermost(call: Callable[[], object]) -> FrameType:
    """Give the frame that raises when something is called."""
    try:
        call()
    except Exception as error:
        entry = error.__traceback__
        while entry is not None and entry.tb_next is not None:
            entry = entry.tb_next
        assert entry is not None
        return entry.tb_frame
    raise AssertionError("nothing was raised")


def unbound() -> Future:
    """Give a future as it comes to a process without a client."""
    return pickle.loads(pickle.dumps(Future("a-key")))


RAISERS: dict[str, tuple[Callable[[], object], Callable[[FrameType], bool]]] = {
    "future": (lambda: unbound().result(), internals.is_unbound),
    "default client": (default_client, internals.is_client_search),
    "current client": (Client.current, internals.is_client_search),
    "missing key": (
        lambda: dask.get(
            {"a": (operator.neg, "b"), "c": Task("c", operator.neg, TaskRef("d"))}, "c"
        ),
        internals.is_local_start,
    ),
}


@pytest.mark.parametrize("name", RAISERS)
def test_errors_tell_which_function_raised_them(name: str) -> None:
    call, is_it = RAISERS[name]
    frame = innermost(call)
    assert is_it(frame)
    others = {internals.is_unbound, internals.is_client_search, internals.is_local_start} - {is_it}
    assert not any(other(frame) for other in others)


# --- Plugins --------------------------------------------------------------------------------------


class Receiver:
    """Takes plugins in the place of a scheduler."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def register_worker_plugin(self, plugin: bytes, **_: object) -> dict[str, object]:
        self.taken.append(pickle.loads(plugin))
        return {}

    register_nanny_plugin = register_worker_plugin


@pytest.mark.parametrize("restarts", [True, False])
def test_the_half_of_an_install_that_workers_get_says_what_it_installs(restarts: bool) -> None:
    receiver = Receiver()
    plugin = InstallPlugin(partial(divmod, 7, 2), restart_workers=restarts)
    asyncio.run(plugin.start(receiver))
    (half,) = receiver.taken
    install = internals.install_of(half)
    assert install is not None
    assert install() == (3, 1)
    assert internals.install_of(SchedulerPlugin()) is None


# --- Clients, clusters, their loops, scheduler and worker -----------------------------------------


def test_clients_of_this_process_are_known(threads_client: Client) -> None:
    assert threads_client in internals.clients_here()


def test_futures_of_a_fork_are_told_from_others(threads_client: Client) -> None:
    before = Future("a", threads_client)._id
    internals.renew_futures()
    assert Future("a", threads_client)._id[0] != before[0]


def test_a_line_in_the_log_of_a_cluster(threads_client: Client) -> None:
    internals.log_of(threads_client.cluster)("a line")
    assert "a line" in threads_client.cluster.get_logs(scheduler=False, workers=False)["Cluster"]


def test_loops_start_and_stop_with_who_uses_them() -> None:
    class Owned(Cluster):
        """A cluster of which there is only the loop."""

    owned = Owned(asynchronous=False, quiet=True)
    internals.start_loop(owned)
    ran = threading.Event()
    owned.loop.add_callback(ran.set)
    assert ran.wait(10)
    loop = owned.loop.asyncio_loop
    internals.stop_loop(owned)
    assert not loop.is_running()
    owned.status = Status.closed


def test_capacity_is_what_it_is_said_to_be(threads_client: Client) -> None:
    cluster = threads_client.cluster
    worker: Worker = cluster.workers[0]
    scheduler: Scheduler = cluster.scheduler
    internals.resize_worker(worker, scheduler, 7)
    assert threads_client.nthreads() == {worker.address: 7}
    assert scheduler.total_nthreads == worker.state.nthreads == 7
    assert threads_client.submit(operator.neg, 1).result() == -1


def test_news_are_held_until_they_are_sent(threads_client: Client) -> None:
    scheduler: Scheduler = threads_client.cluster.scheduler

    async def look() -> tuple[bool, bool]:
        comm = next(iter(scheduler.client_comms.values()))
        comm.send({"op": "a-message-for-nobody"})
        before = internals.has_news(scheduler)
        while internals.has_news(scheduler):
            await asyncio.sleep(0.001)
        return before, internals.has_news(scheduler)

    assert threads_client.sync(look) == (True, False)


def test_a_key_is_asked_for_by_its_name(threads_client: Client) -> None:
    held = threads_client.submit(operator.add, 1, 2, key="three")
    assert held.result() == 3
    with Client(threads_client.cluster, set_as_default=False) as other:
        silent = Future("three", other)
        assert clients.future_of("three", other).result(timeout=10) == 3
        assert silent.done()


def test_a_client_asks_for_futures_that_others_make(threads_client: Client) -> None:
    keys = ["three", "later", "by us"]
    held = [threads_client.submit(operator.add, 1, 2, key=key) for key in keys]
    assert threads_client.gather(held) == [3, 3, 3]
    with Client(threads_client.cluster, set_as_default=False) as other:
        clients.tell_of_futures(other)
        clients.tell_of_futures(other)  # as after a lost connection
        asked = asked_by(other)
        first = Future("three", other)  # held: one that is dropped is asked for anew
        assert first.result(timeout=10) == 3
        futures = [first, *(Future("three", other) for _ in range(2))]
        assert asked == ["three"]
        assert other.gather(futures) == [3, 3, 3]
        assert other.refcount["three"] == 3
        unbound = Future("later")
        unbound.bind_client(other)
        assert other.gather([unbound, clients.future_of("by us", other)]) == [3, 3]
        assert asked == keys
    assert Future("too late", other).status == "pending"


def test_a_client_does_not_ask_for_what_dask_makes_futures_of(threads_client: Client) -> None:
    client = threads_client
    clients.tell_of_futures(client)
    asked = asked_by(client)
    array = da.ones(4, chunks=2)
    kept = [
        client.submit(operator.neg, 1, key="one"),
        client.submit(operator.neg, 1, key="one"),
        client.map(operator.neg, range(100)),
        client.map(operator.neg, range(100), batch_size=7),
        client.scatter([1, 2]),
        client.scatter({"a": 1}),
        client.scatter(5, direct=True, hash=False),
        client.compute(array),
        client.compute([array + 2, array + 3]),
        client.persist(array),
        array.persist(),
        dask.persist(array + 1),
        client.get({"x": (operator.neg, 2)}, ["x"], sync=False),
        client.get_executor().submit(operator.neg, 7),
    ]
    assert client.compute(array.sum(), sync=True) == array.sum().compute() == 4
    assert client.submit(operator.neg, kept[0]).result(timeout=10) == 1
    assert asked == []


def asked_by(client: Client) -> list[object]:
    """List from now on the keys that a client asks for without a graph."""
    asked: list[object] = []
    send = client._send_to_scheduler

    def listen(message: dict[str, Any]) -> None:
        asked.extend(message["keys"] if message["op"] == "client-desires-keys" else [])
        send(message)

    client._send_to_scheduler = listen
    return asked


def test_a_client_that_asks_is_held_by_nobody_else() -> None:
    class Held:
        """What is needed of a client, and can be counted."""

        def _inc_ref(self, key: object) -> None:
            """Count a future."""

    held: Any = Held()
    clients.tell_of_futures(held)
    gone = weakref.ref(held)
    del held
    assert gone() is None


def test_who_shuts_down_is_told_from_who_closes() -> None:
    asked: list[bool] = []

    class Closed:
        """A cluster that is closed."""

        async def close(self) -> None:
            """Look who asks."""

    class Watched(Closed):
        def close(self) -> Any:
            frame = inspect.currentframe()
            assert frame is not None
            assert frame.f_back is not None
            asked.append(internals.is_shutdown(frame.f_back))
            return super().close()

    async def live() -> None:
        async with (
            Scheduler(dashboard_address=":0", port=0, host="127.0.0.1") as scheduler,
            Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
        ):
            client.cluster = Watched()
            await client.cluster.close()
            await client.shutdown()

    asyncio.run(live())
    assert asked == [False, True]


def test_a_folder_that_is_kept_outlives_its_server(threads_client: Client) -> None:
    worker: Worker = threads_client.cluster.workers[0]
    folder = Path(worker.local_directory)
    assert folder.is_dir()
    _, remove, arguments, _ = worker._workdir._finalizer.peek()
    internals.keep_folder(worker)
    worker._workdir.release()
    assert folder.is_dir()
    remove(*arguments)
    assert not folder.exists()


# --- What our classes override --------------------------------------------------------------------

#: Methods of Dask's that classes of ours override or call, and the parameters that they count on.
METHODS: dict[Callable[..., Any], str] = {
    Scheduler.update_graph: "client expr_ser keys annotations internal_priority",
    Scheduler.start_unsafe: "",
    Scheduler.send_all: "client_msgs worker_msgs",
    Scheduler.gather: "keys serializers",
    Scheduler.scatter: "",
    Scheduler.broadcast: "msg workers nanny serializers",
    Scheduler.identity: "n_workers",
    Scheduler.restart_workers: "workers timeout",
    Scheduler.retire_workers: "",
    Scheduler.stimulus_cancel: "keys client",
    Scheduler.register_scheduler_plugin: "plugin name idempotent",
    Scheduler.register_worker_plugin: "comm plugin name idempotent",
    Scheduler.unregister_worker_plugin: "comm name",
    Scheduler.register_nanny_plugin: "comm plugin name idempotent",
    Scheduler.unregister_nanny_plugin: "comm name",
    Scheduler.stimulus_task_finished: "key worker stimulus_id run_id metadata",
    Scheduler.check_idle_saturated: "ws occ",
    Scheduler.remove_plugin: "name",
    Scheduler.handle_task_erred: "key worker stimulus_id run_id exception traceback exception_text "
    "traceback_text",
    Scheduler.heartbeat_worker: "address now metrics executing",
    Scheduler.report: "msg client",
    Scheduler.client_releases_keys: "keys client stimulus_id",
    Scheduler.transitions: "recommendations stimulus_id",
    Scheduler.remove_client: "client stimulus_id",
    Scheduler.new_task: "key spec state",
    Scheduler.client_desires_keys: "keys client",
    PublishExtension.put: "names keys data override client uid",
    PublishExtension.get: "names",
    PublishExtension.delete: "names client uid",
    PublishExtension.list: "",
    Worker.get_data: "comm keys who serializers",
    Worker.update_data: "data stimulus_id",
    Worker.heartbeat: "",
    Worker.get_metrics: "",
    Worker.run: "comm",
    Worker.close: "",
    Worker.upload_file: "filename data load",
    Cluster.close: "timeout",
    Cluster.sync: "func",
    Cluster.wait_for_workers: "n_workers timeout",
    ReplayTaskScheduler.get_error_cause: "keys",
    ReplayTaskScheduler.get_runspec: "key",
    SchedulerPlugin.transition: "key start finish",
    SchedulerPlugin.restart: "scheduler",
    TaskStreamPlugin.transition: "key start finish",
    TaskStreamPlugin.collect: "start stop count start_index",
    TaskStreamPlugin.rectangles: "istart istop workers start_boundary",
}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.__qualname__))
def test_a_method_of_dask_takes_what_we_count_on(method: Callable[..., Any]) -> None:
    parameters = inspect.signature(method).parameters
    has_more = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    assert has_more or set(METHODS[method].split()) <= set(parameters)


#: Private names of Dask's classes that classes of ours have as well, on purpose.
OVERRIDDEN = {
    "Cluster._adaptive",  # what `adapt` has set: the widget and `close` look at it
    "Cluster._close",
    "Cluster._get_logs",
    "Cluster._repr_html_",
    "Cluster._scaling_status",
    "Cluster._start",
    "Cluster._supports_scaling",  # no buttons in the widget
    "Expr._name",  # see `named_graph`
    "GraphNode._dependencies",  # what a node of ours reads
    "SchedulerState._task_to_msg",  # a question needs no more than a key and a number
}


def modules() -> Iterator[Any]:
    """Import the whole package."""
    for found in pkgutil.walk_packages(dask_knot.__path__, "dask_knot."):
        if found.name.rpartition(".")[2] not in ("__main__", "boot"):  # they are programs
            yield importlib.import_module(found.name)


def names_of(kind: type) -> set[str]:
    """Name what a class defines itself: its body, and what its methods give to `self`."""
    names = set(vars(kind))
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if ast.unparse(node.value) == "self" else set()
    return names


def test_private_names_of_dask_are_overridden_on_purpose_only() -> None:
    found = set()
    for module in modules():
        for kind in vars(module).values():
            if not (inspect.isclass(kind) and kind.__module__ == module.__name__):
                continue
            own = {name for name in names_of(kind) if name.startswith("_") and name[1] != "_"}
            own.discard("_abc_impl")  # Python's
            for base in kind.__mro__:
                if base.__module__.partition(".")[0] in ("dask", "distributed"):
                    found |= {f"{base.__name__}.{name}" for name in own & names_of(base)}
    assert found == OVERRIDDEN
