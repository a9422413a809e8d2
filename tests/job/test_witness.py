"""A job answers what it is asked, once, and tells how it fares while somebody watches."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from dask_knot.errors import StoreError
from dask_knot.internals import begin_task, end_task
from dask_knot.job import present, witness
from dask_knot.job.parts import Interest
from dask_knot.job.whereabouts import stacks_here, tasks_here
from dask_knot.job.witness import FOLDER_PAUSE, LEASE, STORE_PAUSE, Witness
from dask_knot.run.asks import Asks, Question, Wanted
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from dask_knot.task.items import ItemTask
from dask_knot.task.subgraphs import call

from .runs import FIRST, Rehearsal, shard, task
from .test_interest import Clock
from .test_parts import wait_for

ID = ShardId(FIRST, 2)


class Scene:
    """A child whose witness looks when a test says so."""

    def __init__(self, store: Store, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_BATCH_JOB_ID", job)
        monkeypatch.setattr(witness, "PARTING", 0.0)
        self.clock = Clock()
        self.store, self.run = store, Run(store, "run")
        self.witness = Witness(self.run, ID, 2, self.clock.monotonic)

    def ask(self, text: str, wanted: Wanted = Wanted.STACKS, id: str = "q") -> None:
        asks = self.run.inquiries.read(FIRST).with_question(Question(id, text, wanted))
        self.run.inquiries.tell(FIRST, asks)


@pytest.fixture(params=["memory", "folder"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    store = Store("memory://" if request.param == "memory" else tmp_path / "store")
    return Scene(store, "job-1:2", monkeypatch)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(Store("memory://"), "job-1:2", monkeypatch)


@pytest.mark.parametrize("text", ["", "job-1:2", "job-1", str(ID)])
def test_who_is_meant_tells_where_it_is(scene: Scene, text: str) -> None:
    scene.ask(text)
    scene.witness.look()
    answer = scene.run.inquiries.answers("q")[ID]
    assert (answer.job, answer.pid, answer.folder) == ("job-1:2", os.getpid(), os.getcwd())
    assert "test_who_is_meant_tells_where_it_is" in answer.stacks
    assert answer.private == ""


def test_the_stack_of_a_task_of_a_map_begins_with_its_function() -> None:
    present.register()
    begin_task(("pi-0", 17), time.time())
    try:
        told = call(ItemTask(("pi-0", 17), stacks_here, ("pi-0:17",)), {})
    finally:
        end_task()
    head, first = told.splitlines()[:2]
    assert head.startswith("task ('pi-0', 17) for ")
    assert "in stacks_here" in first


def test_a_question_is_answered_once(scene: Scene) -> None:
    scene.ask("")
    scene.witness.look()
    scene.run.inquiries.forget_answers("q")
    scene.witness.look()
    assert scene.run.inquiries.answers("q") == {}
    scene.ask("", id="another")
    scene.witness.look()
    assert len(scene.run.inquiries.answers("another")) == 1


def test_who_is_not_meant_says_only_what_it_runs_and_that_where_it_costs_nothing(
    scene: Scene,
) -> None:
    scene.ask("load-1", Wanted.PLACE)
    scene.witness.look()
    if scene.run.inquiries.is_dear:
        assert scene.run.inquiries.answers("q") == {}
    else:
        (answer,) = scene.run.inquiries.answers("q").values()
        assert (answer.stacks, answer.private, answer.tasks) == ("", "", ())


def test_a_key_that_comes_later_is_found(scene: Scene) -> None:
    scene.ask("load-1")
    scene.witness.look()
    present.register()
    begin_task("load-1", time.time() - 5)
    try:
        scene.witness.look()
    finally:
        end_task()
    (answer,) = scene.run.inquiries.answers("q").values()
    assert [task.key for task in answer.tasks] == ["load-1"]
    assert answer.stacks.startswith("task load-1 for 5.")


def test_the_environment_is_for_its_user_only_and_never_in_the_store(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "hush-hush")
    scene.ask("", Wanted.PLACE)
    scene.witness.look()
    (answer,) = scene.run.inquiries.answers("q").values()
    file = Path(answer.private)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hush-hush" in file.read_text()
    for name in scene.store.list(""):
        assert b"hush-hush" not in bytes(scene.store.get(name)), name
    with scene.witness:  # at the end of its job
        pass
    assert not file.exists()


def test_it_tells_how_it_fares_as_long_as_somebody_watches(scene: Scene) -> None:
    scene.run.inquiries.tell(FIRST, Asks(watch="w.1"))
    for number in range(3):
        scene.clock.now += 1
        scene.witness.look()
        vitals = scene.run.inquiries.vitals()[ID]
        assert (vitals.number, vitals.watch, vitals.cores) == (number, "w.1", 2)
        assert vitals.memory > 2**20
    scene.run.inquiries.forget_vitals([ID])
    scene.clock.now += LEASE  # who watches was killed: his ask stays
    scene.witness.look()
    assert scene.run.inquiries.vitals() == {}
    scene.run.inquiries.tell(FIRST, Asks(watch="w.2"))
    scene.witness.look()
    assert scene.run.inquiries.vitals()[ID].watch == "w.2"


def test_in_a_folder_it_looks_each_second_and_asks_for_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    child = Witness(Run(store, "run"), ID, 1)
    assert [child.look() for _ in range(5)] == [FOLDER_PAUSE] * 5
    assert store.requests.total() == 0


def test_elsewhere_it_waits_until_it_is_called(far: Scene) -> None:
    assert far.witness.look() is None
    far.ask("")
    assert far.witness.look() == STORE_PAUSE  # more may be asked soon
    far.clock.now = LEASE + 1
    assert far.witness.look() is None


def test_nobody_who_watches_costs_nothing(far: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at what is wanted is one request as ever; it calls only where there are orders."""
    called: list[int] = []
    interest = Interest(far.run, ID, 0.0, lambda: called.append(1))
    interest.look()
    assert (far.store.requests["get"], called) == (1, [])
    far.run.inquiries.tell(FIRST, Asks(watch="w"))
    interest.look()
    assert called == [1]


def test_a_store_that_is_away_doesnt_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again: the thread goes on after an error."""
    run = Run(Store(tmp_path / "store"), "run")
    looks = threading.Semaphore(0)

    def away(stage: object) -> bool:
        looks.release()
        raise StoreError("no route to host")

    monkeypatch.setattr(witness, "FOLDER_PAUSE", 0.01)
    monkeypatch.setattr(run.inquiries, "sees_any", away)
    with Witness(run, ID, 1):
        assert all(looks.acquire(timeout=10) for _ in range(3))


def test_a_shard_that_runs_is_asked(tmp_path: Path) -> None:
    """A whole shard: what runs is told while it runs, and nothing stays behind."""
    on_disk = Rehearsal(Store(tmp_path / "store"))
    go = tmp_path / "go"
    content = shard([task("long", wait_for, go)], options=Options(part_seconds=0.1))
    on_disk.write(content)
    child = threading.Thread(target=on_disk.start, args=(ShardId(FIRST, 0),))
    child.start()
    try:
        on_disk.inquiries.tell(FIRST, Asks((Question("q", "long"),)))
        deadline = time.monotonic() + 30
        while not (found := on_disk.inquiries.answers("q")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        go.touch()
        child.join()
    (answer,) = found.values()
    long = answer.stacks.partition("\nthread ")[0]
    assert long.startswith("task long for ")
    assert "in wait_for" in long
    assert "run_shard" not in long  # what called it is the same for all tasks
    assert tasks_here() == ()
    assert not stacks_here().startswith("task ")
