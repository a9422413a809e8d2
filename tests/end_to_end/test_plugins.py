"""Plugins that a client registers set up the jobs: nothing of them happens in the gateway."""

from __future__ import annotations

import base64
import hashlib
import importlib
import multiprocessing
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import (
    Client,
    Environ,
    InstallPlugin,
    NannyPlugin,
    PipInstall,
    SchedulerPlugin,
    UploadDirectory,
    UploadFile,
    WorkerPlugin,
    get_worker,
    wait,
)
from distributed.diagnostics.plugin import ForwardOutput

from dask_knot import KnotCluster
from dask_knot.errors import LiveWorkerError, PluginError
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import inc
from tests.end_to_end.test_failures import stored_files


@pytest.fixture(autouse=True)
def _only_its_own_plugins(client: Client, cluster: KnotCluster) -> Iterator[None]:
    """Unregister what a test has registered, and take its modules out of this process."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(cluster.scheduler.worker_plugins) - {"shuffle"}:
        client.unregister_worker_plugin(name)
    for name in set(cluster.scheduler.nanny_plugins):
        client.unregister_worker_plugin(name, nanny=True)
    for name in set(sys.modules) - modules:
        if name.startswith("knot_uploaded"):
            del sys.modules[name]
    sys.path[:] = path


def run(client: Client, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a job of its own."""
    return client.submit(function, *arguments, pure=False).result(timeout=60)


def call_uploaded(module: str) -> tuple[int, bool]:
    """Call a function of a module; tell whether the module is the job's own copy."""
    found = importlib.import_module(module)
    return found.answer(), str(found.__file__).startswith(get_worker().local_directory)


def write_module(folder: Path, name: str, answer: int) -> Path:
    """Write a module with one function."""
    path = folder / f"{name}.py"
    path.write_text(f"def answer():\n    return {answer}\n")
    return path


def test_upload_file(client: Client, tmp_path: Path) -> None:
    client.upload_file(str(write_module(tmp_path, "knot_uploaded", 1)))
    assert run(client, call_uploaded, "knot_uploaded") == (1, True)
    by_reference = importlib.import_module("knot_uploaded").answer  # the scheduler has it too
    assert run(client, by_reference) == 1


def test_upload_file_again_with_another_content(client: Client, tmp_path: Path) -> None:
    for answer in (1, 2, 1, 3):
        client.upload_file(str(write_module(tmp_path, "knot_uploaded_again", answer)))
        assert run(client, call_uploaded, "knot_uploaded_again") == (answer, True)


@pytest.mark.parametrize("ending", ["zip", "egg"])
def test_upload_archive(client: Client, tmp_path: Path, ending: str) -> None:
    name = f"knot_uploaded_{ending}"
    archive = tmp_path / f"archive.{ending}"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{name}/__init__.py", "from .inner import answer\n")
        file.writestr(f"{name}/inner.py", "def answer():\n    return 5\n")
    client.upload_file(str(archive))
    assert run(client, call_uploaded, name) == (5, True)


def test_upload_without_loading(client: Client, tmp_path: Path) -> None:
    path = write_module(tmp_path, "knot_uploaded_lazily", 6)
    client.register_plugin(UploadFile(path, load=False))
    assert run(client, call_uploaded, "knot_uploaded_lazily") == (6, True)


def test_a_file_that_cant_be_imported(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "knot_uploaded_badly.py"
    path.write_text("raise LookupError('at import')\n")
    for _ in range(5):  # the scheduler's plugin and that of workers come in any order
        with pytest.raises(LookupError, match="at import"):
            client.upload_file(str(path))  # the scheduler imports it, as any other Dask scheduler
        assert run(client, inc, 1) == 2


def test_upload_directory(client: Client, tmp_path: Path) -> None:
    package = tmp_path / "knot_uploaded_package"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import answer\n")
    write_module(package, "inner", 7)
    client.register_plugin(UploadDirectory(package))
    assert run(client, call_uploaded, "knot_uploaded_package") == (7, True)


def test_environ(client: Client) -> None:
    client.register_plugin(Environ({"KNOT_TEST_ENVIRON": 3}))
    assert run(client, os.getenv, "KNOT_TEST_ENVIRON") == "3"
    assert "KNOT_TEST_ENVIRON" not in os.environ


class Model(WorkerPlugin):
    """Gives jobs something to work with, and leaves traces."""

    name = "model"

    def __init__(self, traces: Path, value: int = 1) -> None:
        self.traces = traces
        self.value = value

    def setup(self, worker: Any) -> None:
        """Attach a value to the worker."""
        worker.model = self.value
        self.scratch = Path(worker.local_directory) / "scratch"
        self.scratch.write_text(worker.name)

    def teardown(self, worker: Any) -> None:
        """Say goodbye."""
        (self.traces / f"{worker.name}-{os.getpid()}").write_text(str(self.scratch))


def use_model() -> tuple[int, int, str]:
    """Use what the plugin has attached."""
    worker = get_worker()
    return worker.model, worker.plugins["model"].value, worker.plugins["model"].scratch.read_text()


def test_a_plugin_of_the_user(client: Client, cluster: KnotCluster, tmp_path: Path) -> None:
    client.register_plugin(Model(tmp_path))
    future = client.submit(use_model)  # held: else its job may be ended before it says goodbye
    model, value, name = future.result(timeout=60)
    assert (model, value) == (1, 1)
    assert len(name) > 15
    (trace,) = until(lambda: list(tmp_path.iterdir()))
    assert trace.name.startswith(name)  # teardown
    assert not trace.name.endswith(str(os.getpid()))
    until(lambda: not Path(until(trace.read_text)).exists())  # the folder went with the job
    assert not hasattr(inside.gateway(cluster), "model")

    client.register_plugin(Model(tmp_path, 2))  # the same name: it takes the place of the first
    assert run(client, use_model)[:2] == (2, 2)
    client.unregister_worker_plugin("model")
    with pytest.raises(LiveWorkerError, match=r"get_worker\(\)\.model"):
        run(client, use_model)


class Later(WorkerPlugin):
    """Sets up and tears down in coroutines."""

    name = "later"

    async def setup(self, worker: Any) -> None:
        """Set up."""
        worker.is_ready = True


def test_a_plugin_with_coroutines(client: Client) -> None:
    client.register_plugin(Later())
    assert run(client, lambda: get_worker().is_ready) is True


def test_worker_callbacks(client: Client) -> None:
    client.register_worker_callbacks(lambda: os.environ.update(KNOT_TEST_CALLBACK="1"))
    assert run(client, os.getenv, "KNOT_TEST_CALLBACK") == "1"
    assert "KNOT_TEST_CALLBACK" not in os.environ


class Broken(WorkerPlugin):
    """Can't set up."""

    name = "broken-one"

    def setup(self, worker: Any) -> None:
        """Raise."""
        raise ConnectionError("no license server")


def test_a_plugin_that_raises(client: Client) -> None:
    before = client.submit(inc, 1, pure=False)
    wait(before)
    client.register_plugin(Broken())
    futures = client.map(inc, range(6), pure=False)
    dependent = client.submit(sum, futures)
    for future in (*futures, dependent):
        with pytest.raises(PluginError, match="broken-one") as caught:
            future.result(timeout=60)
        assert "ConnectionError: no license server" in str(caught.value)
    assert before.result() == 2
    client.unregister_worker_plugin("broken-one")
    futures[0].retry()
    assert futures[0].result(timeout=60) == 1


class Unloadable(WorkerPlugin):
    """Can only be unpickled where it was made."""

    name = "unloadable"

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_here, (os.getpid(),)


def _only_here(pid: int) -> Unloadable:
    if pid != os.getpid():
        raise ImportError("No module named 'only_on_the_laptop'")
    return Unloadable()


def test_a_plugin_that_cant_be_unpickled_in_a_job(client: Client) -> None:
    client.register_plugin(Unloadable())
    with pytest.raises(PluginError, match=r"(?s)'unloadable'.*only_on_the_laptop"):
        run(client, inc, 1)


def count_in(path: Path) -> Callable[[], None]:
    """Make an installation that only writes down who ran it."""

    def install() -> None:
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")

    return install


@pytest.mark.parametrize("restart_workers", [False, True])
def test_an_installation_runs_once_for_jobs_that_share_an_environment(
    client: Client, tmp_path: Path, restart_workers: bool
) -> None:
    path = tmp_path / "installed"
    client.register_plugin(InstallPlugin(count_in(path), restart_workers=restart_workers))
    assert len({run(client, os.getpid) for _ in range(3)}) == 3
    here, there = path.read_text().split()
    assert int(here) == os.getpid() != int(there)  # the scheduler's environment, and the jobs'


def write_wheel(folder: Path, name: str) -> Path:
    """Write the smallest package that pip takes."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "def answer():\n    return 9\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            files[file] = f"{file},sha256={digest.decode().rstrip('=')},{len(text)}"
        wheel.writestr(f"{info}/RECORD", "\n".join([*files.values(), f"{info}/RECORD,,"]))
    return path


def read_installed(folder: str) -> int:
    """Call what was installed."""
    sys.path.insert(0, folder)
    return int(importlib.import_module("knot_uploaded_wheel").answer())


def test_pip_install(client: Client, tmp_path: Path) -> None:
    wheel, target = write_wheel(tmp_path, "knot_uploaded_wheel"), tmp_path / "target"
    options = ["--no-index", "--disable-pip-version-check", "--target", str(target)]
    client.register_plugin(PipInstall([str(wheel)], pip_options=options))
    (target / "knot_uploaded_wheel.py").unlink()  # what the scheduler has installed
    with pytest.raises(ModuleNotFoundError):
        read_installed(str(target))
    assert run(client, read_installed, str(target)) == 9


@pytest.mark.filterwarnings("ignore")
def test_pip_install_of_what_there_is_not(client: Client) -> None:
    options = ["--no-index", "--disable-pip-version-check"]
    with pytest.raises(RuntimeError, match="knot-no-such-package"):
        client.register_plugin(PipInstall(["knot-no-such-package"], pip_options=options))
    assert run(client, inc, 1) == 2


class OwnNanny(NannyPlugin):
    """Of the user's own."""

    def setup(self, nanny: Any) -> None:
        """Never called."""


class Follower(WorkerPlugin):
    """Follows tasks through the states of a worker."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Never called."""


@pytest.mark.parametrize(
    ("plugin", "text"),
    [
        (OwnNanny(), r"is for nannies, but there are none.*A WorkerPlugin sets up each job"),
        (Follower(), r"follows the transitions.*SchedulerPlugin"),
        (ForwardOutput(), r"never connected to it.*cluster\.logs\(future\)"),
    ],
)
def test_what_jobs_cant_honour_is_refused(client: Client, plugin: Any, text: str) -> None:
    for _ in range(2):
        with pytest.raises(LiveWorkerError, match=text):
            client.register_plugin(plugin, name="refused")
    with pytest.raises(ValueError, match="does not exist"):
        client.unregister_worker_plugin("refused", nanny=isinstance(plugin, NannyPlugin))
    assert run(client, inc, 1) == 2


def test_forwarded_logging_is_refused(client: Client) -> None:
    with pytest.raises(LiveWorkerError, match=r"cluster\.logs\(future\)"):
        client.forward_logging("some.logger")


def test_nannies_are_refused(client: Client) -> None:
    with pytest.raises(LiveWorkerError, match="there are none"):
        client.run(inc, 1, nanny=True)
    with pytest.raises(LiveWorkerError, match="there are none"):
        client.get_worker_logs(nanny=True)


class Count(SchedulerPlugin):
    """Counts the keys that are done."""

    name = "count"
    done = 0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self.done += finish == "memory"


def test_scheduler_plugins_work_as_in_dask(client: Client, cluster: KnotCluster) -> None:
    client.register_plugin(Count())
    client.gather(client.map(inc, range(7), pure=False))
    assert cluster.scheduler.plugins["count"].done == 7
    client.unregister_scheduler_plugin("count")
    assert "count" not in cluster.scheduler.plugins


def test_run_says_what_it_runs_on(open_cluster: Callable[..., KnotCluster]) -> None:
    with Client(open_cluster()) as client:
        with pytest.warns(UserWarning, match="runs the function once, in the gateway") as caught:
            assert list(_run_and_wait(client, caught).values()) == [os.getpid()]
        name = client.run(lambda dask_worker: dask_worker.name)  # it has been said
        assert list(name.values()) == ["gateway"]


def _run_and_wait(client: Client, caught: pytest.WarningsRecorder) -> Any:
    results = client.run(os.getpid)
    until(lambda: caught.list)  # it comes on a way of its own
    return results


def test_processes_of_a_job_are_set_up_too(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    def look(_: int) -> tuple[Any, ...]:
        found = (call_uploaded("knot_uploaded_processes"), os.environ["KNOT_TEST_PROCESSES"])
        return (*found, use_model()[0], multiprocessing.parent_process() is not None)

    with Client(open_cluster(jobs=1, cores=2, processes=True)) as client:
        client.upload_file(str(write_module(tmp_path, "knot_uploaded_processes", 4)))
        client.register_plugin(Environ({"KNOT_TEST_PROCESSES": "yes"}))
        (tmp_path / "traces").mkdir()
        client.register_plugin(Model(tmp_path / "traces"))
        found = client.gather(client.map(look, range(4)))
        assert {each[:3] for each in found} == {((4, True), "yes", 1)}
        assert any(is_in_pool for *_, is_in_pool in found)
        traces = until(lambda: len(files := list((tmp_path / "traces").iterdir())) > 2 and files)
        until(lambda: not any(Path(until(trace.read_text)).exists() for trace in traces))


def test_plugins_are_written_once_per_change_and_deleted_in_the_end(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        run(client, inc, 1)
        assert stored_files(cluster, "plugins") == []
        client.register_plugin(Model(tmp_path))
        for _ in range(3):
            assert run(client, use_model)[0] == 1
        assert len(stored_files(cluster, "plugins")) == 1
        client.register_plugin(Model(tmp_path, 2))
        assert run(client, use_model)[0] == 2
        assert len(stored_files(cluster, "plugins")) == 2
        client.unregister_worker_plugin("model")
        run(client, inc, 2)
        assert len(stored_files(cluster, "plugins")) == 2
        stored = stored_files(cluster, "plugins")
    cluster.close()
    assert not any(path.exists() for path in stored)
