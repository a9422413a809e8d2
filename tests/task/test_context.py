"""What Dask's functions find in the threads of a job, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import dask
import pytest
from dask.context import thread_state
from distributed import (
    Future,
    Lock,
    MultiLock,
    Reschedule,
    Semaphore,
    get_worker,
    rejoin,
    secede,
    threadpoolexecutor,
)
from distributed.protocol import pickle

from dask_knot.errors import LiveWorkerError, PluginError
from dask_knot.job.tasks import run_pickled, run_task
from dask_knot.run.failure import Failure
from dask_knot.run.work import Options
from dask_knot.task.context import entered, fault, here, unpickling
from dask_knot.task.refusals import INSTEAD, refusal, translated
from dask_knot.task.worker import JobWorker
from tests.job.runs import Rehearsal, shard, task


@pytest.fixture
def worker() -> JobWorker:
    return JobWorker("a-job")


def test_the_worker_is_found_only_inside(worker: JobWorker) -> None:
    with entered(worker):
        assert get_worker() is here() is worker
    with pytest.raises(ValueError, match="No worker found"):
        get_worker()
    assert fault() is None
    with pytest.raises(AttributeError):
        threadpoolexecutor.secede()  # the thread has no pool any more


def test_what_is_there(worker: JobWorker) -> None:
    assert (worker.name, worker.id, worker.plugins, worker.data) == ("a-job", "a-job", {}, {})
    assert repr(worker) == "<JobWorker 'a-job'>"
    worker.model = 5
    assert worker.model == 5


@pytest.mark.parametrize("name", ["address", "nthreads", "state", "loop_thread"])
def test_what_is_not_there(worker: JobWorker, name: str) -> None:
    assert not hasattr(worker, name)
    assert getattr(worker, name, 3) == 3
    with pytest.raises(LiveWorkerError, match=rf"^get_worker\(\)\.{name} needs a live Dask worker"):
        getattr(worker, name)


def test_the_folder_is_made_when_asked_for(
    worker: JobWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        worker.close()  # nothing to do
        assert list(tmp_path.iterdir()) == []
        folder = Path(worker.local_directory)
    assert folder.parent == tmp_path
    assert sys.path[0] == str(folder) == worker.local_directory
    (folder / "file").touch()
    worker.close()
    assert not folder.exists()
    assert str(folder) not in sys.path


def test_only_what_is_printed_is_taken_as_an_event(worker: JobWorker) -> None:
    worker.log_event("print", {"args": ("x",)})
    with pytest.raises(LiveWorkerError, match=r"cluster\.logs\(future\)"):
        worker.log_event("topic", 1)
    with pytest.raises(LiveWorkerError, match="loop"):
        worker.loop.add_callback(print, "never")


def test_a_thread_that_secedes_keeps_its_place(worker: JobWorker) -> None:
    with entered(worker):
        result = run_task(task("a", _secede, 4), {})
    assert result.value == 4


def _secede(x: int) -> int:
    secede()
    secede()
    rejoin()
    assert threading.current_thread() is threading.main_thread()
    return x


def test_the_state_of_the_thread_is_that_of_the_task() -> None:
    ended = run_task(task("a-key", lambda: (thread_state.key, thread_state.start_time)), {})
    assert ended.value == ("a-key", ended.start)
    assert not hasattr(thread_state, "key")


@pytest.mark.parametrize("kind", [Lock, Semaphore, MultiLock])
def test_locks_can_be_unpickled_but_not_used(worker: JobWorker, kind: Any) -> None:
    with unpickling():
        lock = pickle.loads(pickle.dumps(kind()))
    name = kind.__name__
    with entered(worker), pytest.raises(LiveWorkerError, match=f"^{name} needs"):
        lock.acquire()


@pytest.mark.parametrize("kind", [Lock, Semaphore, MultiLock])
def test_locks_reach_the_processes_of_a_job(worker: JobWorker, kind: Any) -> None:
    with unpickling():  # here is no client either
        data = bytes(pickle.dumps((task("a", kind.acquire, kind()), {})))
    with entered(worker):
        failure = pickle.loads(run_pickled(data)).value
    with pytest.raises(LiveWorkerError, match=f"^{kind.__name__} needs"):
        raise failure.load()


def test_an_unbound_future_is_named() -> None:
    future: Any = Future("a")
    for method in ("result", "exception", "done", "cancel"):
        with pytest.raises((RuntimeError, AttributeError)) as caught:
            getattr(future, method)()
        clear = translated(caught.value)
        assert isinstance(clear, LiveWorkerError)
        assert str(clear).startswith("Future needs")
        assert clear.__cause__ is caught.value


@pytest.mark.parametrize("error", [RuntimeError("own"), ValueError("No clients found")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert translated(error) is error  # never raised
    with pytest.raises(type(error)) as caught:
        raise error
    assert translated(caught.value) is error


def test_a_task_that_wants_to_be_rescheduled(run: Rehearsal) -> None:
    def again() -> None:
        raise Reschedule

    failure = run.outcomes(shard([task("a", again)]))["a"]
    with pytest.raises(LiveWorkerError, match=r"^Reschedule needs.*retries="):
        raise failure.load()


def test_a_feature_without_advice_has_one_nevertheless() -> None:
    assert "Inside a job" in str(refusal("something"))
    assert all("Inside a job" not in str(refusal(name)) for name in INSTEAD)


def test_the_error_of_a_task_has_its_own_traceback(run: Rehearsal) -> None:
    failure = run.outcomes(shard([task("a", _use_a_lock), task("b", int, 1)]))["a"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.load(), LiveWorkerError)
    assert "_use_a_lock" in failure.traceback_text


def _use_a_lock() -> None:
    with Lock("x"):
        raise AssertionError


@pytest.mark.parametrize("way", ["one by one", "threads", "processes"])
def test_whatever_the_way(run: Rehearsal, way: str) -> None:
    options = {
        "one by one": Options(cores=1),
        "threads": Options(cores=2),
        "processes": Options(cores=2, processes=True),
    }[way]
    content = shard([task(n, look) for n in range(3)], options=options)
    assert run.outcomes(content) == {n: (str(n), "threads", 1, "seceded") for n in range(3)}


def look() -> tuple[str, Any, Any, str]:
    """Look around in a task."""
    secede()
    rejoin()
    return (
        str(get_worker().get_current_task()),
        dask.config.get("scheduler"),
        dask.config.get("num_workers"),
        "seceded",
    )


def test_a_task_alone_may_compute_with_all_cores(run: Rehearsal) -> None:
    content = shard([task("a", look)], options=Options(cores=4))
    assert run.outcomes(content)["a"][2] == 4


def test_coroutines_find_the_worker(run: Rehearsal) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return str(get_worker().get_current_task())

    assert run.outcomes(shard([task("a", later)])) == {"a": "a"}


def test_a_process_that_could_not_be_set_up_says_so(worker: JobWorker) -> None:
    worker.fault = PluginError("plugin 'x' could not set up this job")
    data = bytes(pickle.dumps((task("a", int, 1), {})))
    with entered(worker):
        ended = pickle.loads(run_pickled(data))
    assert isinstance(ended.value.load(), PluginError)
    assert ended.value.key == "a"
    assert pickle.loads(run_pickled(data)).value == 1


# joblib's order to nest work on the cluster is carried out in the job.
HERE = """
import sys
from dask_knot.task.context import keep_nested_work_here
keep_nested_work_here()
assert "joblib" not in sys.modules
import joblib
keep_nested_work_here()
with joblib.parallel_config("dask"):
    assert joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, 2)) == [1, 2]
    assert joblib.effective_n_jobs(-1) == 1
"""
IN_A_PROCESS_OF_A_JOB = """
from dask._task_spec import Task
from distributed.protocol import pickle
from joblib._dask import Batch
from dask_knot.job.tasks import run_pickled
calls = [(abs, (-1,), {}), (abs, (2,), {})]
ended = pickle.loads(run_pickled(pickle.dumps((Task("calls", Batch(calls), calls), {}))))
assert ended.value == [1, 2], ended.value
"""


@pytest.mark.parametrize("program", [HERE, IN_A_PROCESS_OF_A_JOB])
def test_work_that_is_nested_runs_here(program: str) -> None:
    """In a process of its own: what is registered with joblib stays."""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
