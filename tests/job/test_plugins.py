"""Plugins set a job up before its tasks are unpickled, and tear down what they set up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dask._task_spec import GraphNode
from distributed import Environ, UploadFile, WorkerPlugin, get_worker
from distributed.protocol import pickle

from dask_knot.errors import MissingObjectError, PluginError
from dask_knot.job import program as job
from dask_knot.job.plugins import set_up, tear_down
from dask_knot.run import exits, plugins, work
from dask_knot.run.names import ShardId
from dask_knot.run.plugins import Plugin
from dask_knot.session.plugins import JobPlugins
from dask_knot.task.worker import JobWorker

from .runs import FIRST, Rehearsal, shard, task

ID = ShardId(FIRST, 0)
events: list[str] = []


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what plugins do to this process."""
    events.clear()
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("knot_job_"):
            del sys.modules[name]


class Recorder(WorkerPlugin):
    """Writes down what happens."""

    def __init__(self, name: str, fails: str = "") -> None:
        self.name = name
        self.fails = fails

    def setup(self, worker: Any) -> None:
        """Set up."""
        events.append(f"{self.name} set up in {worker.name}")
        if self.fails == "setup":
            raise LookupError("at setup")
        if self.fails == "exit":
            raise SystemExit(3)

    async def teardown(self, worker: Any) -> None:
        """Tear down."""
        events.append(f"{self.name} torn down")
        if self.fails == "teardown":
            raise LookupError("at teardown")
        if self.fails == "exit at teardown":
            raise SystemExit(3)


def pickled(*some: Any) -> dict[str, bytes]:
    """Pickle plugins as a client does."""
    return {f"{n}-{type(p).__name__}": bytes(pickle.dumps(p)) for n, p in enumerate(some)}


def write(run: Rehearsal, registered: dict[str, bytes], *tasks: GraphNode) -> work.ShardWork:
    """Write a stage of one shard whose job is set up by plugins."""
    ours = JobPlugins()
    ours.set(registered)
    content = shard(list(tasks))
    run.write_pack(FIRST, [content], ours.publish(run))
    return content


def outcomes(run: Rehearsal, some: list[Any], *tasks: GraphNode) -> Any:
    """Run tasks in a job that plugins set up."""
    content = write(run, pickled(*some), *tasks)
    run.start(ID)
    return run.read(content, ID)


def test_setup_in_order_and_teardown_the_other_way_round(run: Rehearsal) -> None:
    found = outcomes(
        run, [Recorder("a"), Recorder("b")], task("x", lambda: sorted(get_worker().plugins))
    )
    assert found == {"x": ["0-Recorder", "1-Recorder"]}
    name = str(ID)
    assert events == [f"a set up in {name}", f"b set up in {name}", "b torn down", "a torn down"]


def test_a_module_is_there_before_the_tasks_are_unpickled(
    run: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "knot_job_module.py"
    path.write_text("def answer():\n    return 42\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        from knot_job_module import answer  # type: ignore[import-not-found]

        content = write(run, pickled(UploadFile(str(path))), task("x", answer))
    del sys.modules["knot_job_module"]
    path.unlink()
    run.start(ID)
    assert run.read(content, ID) == {"x": 42}


def test_a_plugin_may_be_in_a_module_that_one_before_it_brings(
    run: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "knot_job_plugin.py"
    path.write_text(
        "class Brought:\n    def setup(self, worker):\n        worker.plugins['brought'] = self\n"
        "    def teardown(self, worker):\n        pass\n"
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        import knot_job_plugin  # type: ignore[import-not-found]

        some = pickled(UploadFile(str(path)), knot_job_plugin.Brought())
        content = write(run, some, task("x", lambda: sorted(get_worker().plugins)))
    del sys.modules["knot_job_plugin"]
    path.unlink()
    run.start(ID)
    assert run.read(content, ID) == {"x": ["0-UploadFile", "1-Brought", "brought"]}


def test_the_last_of_several_uploads_counts(run: Rehearsal, tmp_path: Path) -> None:
    path = tmp_path / "knot_job_again.py"
    uploads = []
    for answer in ("raise ImportError('never')", "x = 2", "x = 3"):
        path.write_text(answer)
        uploads.append(UploadFile(str(path)))
    assert outcomes(run, uploads, task("x", _read_again)) == {"x": 3}


def _read_again() -> int:
    import knot_job_again  # type: ignore[import-not-found]

    return int(knot_job_again.x)


def test_the_environment(run: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOT_TEST", "before")
    assert outcomes(run, [Environ({"KNOT_TEST": 1})], task("x", os.getenv, "KNOT_TEST")) == {
        "x": "1"
    }


@pytest.mark.parametrize("fails", ["setup", "exit"])
def test_a_setup_that_raises_ends_the_job_at_once(
    run: Rehearsal, fails: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PluginError, match="'1-Recorder' could not set up this job") as caught:
        outcomes(run, [Recorder("a"), Recorder("b", fails)], task("x", events.append, "ran"))
    cause = "LookupError: at setup" if fails == "setup" else "SystemExit: 3"
    assert cause in str(caught.value)
    assert "in setup" in capsys.readouterr().err
    assert [event.split()[0] for event in events] == ["a", "b", "a"]  # a is torn down
    assert run.files("manifests/") == []


def test_one_that_cant_be_unpickled(run: Rehearsal) -> None:
    write(run, {"broken": b"no pickle"}, task("x", int, 1))
    with pytest.raises(PluginError, match="'broken'"):
        run.start(ID)


@pytest.mark.parametrize(
    ("fails", "text"),
    [("teardown", "LookupError: at teardown"), ("exit at teardown", "SystemExit: 3")],
)
def test_a_teardown_that_raises_costs_nothing(
    run: Rehearsal, capsys: pytest.CaptureFixture[str], fails: str, text: str
) -> None:
    found = outcomes(run, [Recorder("a"), Recorder("b", fails)], task("x", int, 1))
    assert found == {"x": 1}
    assert text in capsys.readouterr().err
    assert events[-1] == "a torn down"


def test_the_job_ends_with_a_code_of_its_own(
    run: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    write(run, pickled(Recorder("a", "setup")), task("x", int, 1))
    url = run.url_of(FIRST)
    assert job.main([url], {}) == exits.NOT_SET_UP
    assert "LookupError: at setup" in capsys.readouterr().err.splitlines()[-1]


def test_plugins_that_are_gone(run: Rehearsal) -> None:
    write(run, pickled(Recorder("a")), task("x", int, 1))
    for name in run.store.list(f"{run.name}/plugins/"):
        run.store.delete([name])
    with pytest.raises(MissingObjectError):
        run.start(ID)


def test_without_plugins_nothing_is_asked_for(run: Rehearsal) -> None:
    run.outcomes(shard([task("x", int, 1)]))
    before = dict(run.store.requests)
    assert run.supplies.read_plugins("") == []
    assert dict(run.store.requests) == before


def test_the_digest_is_of_names_and_contents() -> None:
    some = [Plugin("a", b"b"), Plugin("c", b"d")]
    digests = {
        plugins.encode(each)[0]
        for each in (some, some[::-1], some[:1], [Plugin("ab", b"")], [Plugin("a", b"bc")])
    }
    assert len(digests) == 5
    assert plugins.encode(some)[0] == plugins.encode(list(some))[0]


def test_a_plugin_that_isnt_there_any_more_is_torn_down_once() -> None:
    worker = JobWorker("w")
    set_up(worker, [Plugin(*each) for each in pickled(Recorder("a")).items()])
    tear_down(worker)
    tear_down(worker)
    assert events == ["a set up in w", "a torn down"]
