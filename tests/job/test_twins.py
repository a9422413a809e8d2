"""A twin runs a shard beside its child: the first end counts, and no part of the twin's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dask_knot.job import outputs
from dask_knot.job.attempts import is_twin
from dask_knot.run import outbox
from dask_knot.run.manifest import Handed, Manifest
from dask_knot.run.names import TWIN, ManifestId
from dask_knot.run.orders import Claimant, Orders
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from tests.local.desk import wait_until

from .asked import ID, PLAY, quick_looks
from .runs import FIRST, Rehearsal, ref, shard, task

FIRST_TWIN = TWIN + 1
IN_PARTS = Options(part_seconds=0)


def test_attempts_of_a_child_are_no_twins() -> None:
    assert not any(is_twin(attempt) for attempt in range(1, 11))  # as many as Batch makes
    assert is_twin(FIRST_TWIN)


def test_a_twin_commits_nothing_but_the_end(run: Rehearsal) -> None:
    content = shard([task(n, int, n) for n in range(3)], options=IN_PARTS)
    run.write(content)
    run.start(ID, FIRST_TWIN)
    assert [path.name for path in run.files("manifests/")] == ["00000.end"]
    assert run.manifest(ID).attempt == FIRST_TWIN
    assert run.read(content, ID) == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize(("is_near", "objects"), [(True, 1), (False, 3)])
def test_what_would_fill_its_memory_is_written_all_the_same(
    run: Rehearsal, monkeypatch: pytest.MonkeyPatch, is_near: bool, objects: int
) -> None:
    monkeypatch.setattr(outputs, "PENDING_BYTES", 200_000)
    monkeypatch.setattr(outbox, "SENT_BYTES", 200_000)
    run.store.is_near = is_near
    content = shard([task(n, np.full, 20_000, float(n)) for n in range(5)])
    run.write(content)
    run.start(ID, FIRST_TWIN)
    assert len(run.files("data/")) == objects
    assert [path.name for path in run.files("manifests/")] == ["00000.end"]
    found = run.read(content, ID)
    assert [float(found[n][0]) for n in range(5)] == [0.0, 1.0, 2.0, 3.0, 4.0]


_begun, _go_on = threading.Event(), threading.Event()


def waits_in_thread(name: str) -> str:
    """Wait in the thread of that name only; give the name of the thread."""
    present = threading.current_thread().name
    if present == name:
        _begun.set()
        assert _go_on.wait(30)
    return present


@pytest.fixture
def _apart() -> None:
    _begun.clear()
    _go_on.clear()


@pytest.mark.usefixtures("_apart")
@pytest.mark.parametrize(("slow", "fast"), [(1, FIRST_TWIN), (FIRST_TWIN, 1)])
def test_the_first_end_counts_and_the_other_one_ends_quietly(
    run: Rehearsal, slow: int, fast: int
) -> None:
    tasks = [task("a", np.ones, 20_000), task("b", waits_in_thread, "slow")]
    content = shard(tasks, options=IN_PARTS)
    run.write(content)
    other = threading.Thread(target=run.start, args=(ID, slow), name="slow")
    other.start()
    assert _begun.wait(30)
    run.start(ID, fast)
    _go_on.set()
    other.join(30)
    assert not other.is_alive()
    assert run.manifest(ID).attempt == fast
    found = run.read(content, ID)
    assert (found["a"].sum(), found["b"]) == (20_000, "MainThread")


@pytest.mark.usefixtures("_apart")
def test_a_twin_goes_on_after_the_parts_of_the_child(run: Rehearsal) -> None:
    content = shard(
        [task("a", threading.get_ident), task("b", waits_in_thread, "slow")], options=IN_PARTS
    )
    run.write(content)
    child = threading.Thread(target=run.start, args=(ID,), name="slow")
    child.start()
    assert _begun.wait(30)
    run.start(ID, FIRST_TWIN)
    assert run.read(content, ID)["a"] == child.ident
    _go_on.set()
    child.join(30)
    assert run.manifest(ID).attempt == FIRST_TWIN


def hands_over(url: str) -> int:
    """Let the child hand over meanwhile."""
    handed = Handed([0], {"a": 1})
    run = Rehearsal(Store(url))
    assert run.write_manifest(ManifestId(ID, 0), Manifest(False, 1, [], handed=handed), [])
    return 1


def test_a_twin_that_is_overtaken_by_a_hand_over_ends_quietly(run: Rehearsal) -> None:
    run.write(shard([task("a", hands_over, run.store.url), task("b", int, 2)]))
    run.start(ID, FIRST_TWIN)
    assert [path.name for path in run.files("manifests/")] == ["00000.p000"]
    assert run.claim(ID, Claimant.CLIENT) is Claimant.CLIENT, "nor does it claim"


@pytest.mark.parametrize("claimant", [None, *Claimant])
def test_a_twin_knows_what_was_handed_over_before(
    run: Rehearsal, claimant: Claimant | None
) -> None:
    content = shard([task("a", int, 1), task("b", int, 2)])
    run.write(content)
    handed = Manifest(False, 1, [], handed=Handed([0], {"a": 1}))
    assert run.write_manifest(ManifestId(ID, 0), handed, []) is not None
    if claimant is not None:
        run.claim(ID, claimant)
    run.start(ID, FIRST_TWIN)
    is_clients = claimant is Claimant.CLIENT
    assert run.read(content, ID) == ({"b": 2} if is_clients else {"a": 1, "b": 2})
    assert (run.manifest(ID).handed is not None) == is_clients


def asks(key: str) -> str:
    PLAY.note(key)
    return key


def test_a_twin_that_is_asked_gives_nothing_up(tmp_path: Path) -> None:
    PLAY.begin(tmp_path)
    PLAY.asking = "a"
    PLAY.run.write(shard([task(key, asks, key) for key in "abc"], options=IN_PARTS))
    with quick_looks():
        assert PLAY.attempt(FIRST_TWIN)
    assert PLAY.ran == ["a", "b", "c"]
    assert PLAY.run.manifest(ID).handed is None
    assert len(PLAY.run.files("manifests/")) == 1


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(run: Rehearsal) -> Iterator[Start]:
    """Start children in processes of their own, which end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "dask_knot.job", run.url_of(FIRST), *arguments],
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            env={**os.environ, "KNOT_TEST_WAITS": "1"},
        )
        started.append(child)
        return child

    yield begin
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def waits_apart(begun: Path) -> str:
    """Wait for ever, in a process that was started for it only."""
    if "KNOT_TEST_WAITS" not in os.environ:
        return "here"
    begun.touch()
    signal.pause()
    return "apart"


needs_processes = pytest.mark.skipif(not hasattr(os, "fork"), reason="no job runs on Windows")
OFTEN = Options(part_seconds=0.1)


@needs_processes
@pytest.mark.parametrize("arguments", [(), ("--child", "0")])
def test_whoever_is_slower_ends_with_0_once_nobody_needs_it(
    run: Rehearsal, start: Start, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    content = shard([task("a", waits_apart, tmp_path / "begun")], options=OFTEN)
    run.write(content)
    slower = start(*arguments)
    wait_until((tmp_path / "begun").exists)
    run.start(ID, 1 if arguments else FIRST_TWIN)
    run.tell_orders(FIRST, Orders(frozenset([0])))
    assert slower.wait(30) == 0
    assert run.read(content, ID) == {"a": "here"}


@needs_processes
def test_sigterm_after_a_hand_over_commits_what_is_done_since(
    run: Rehearsal, start: Start, tmp_path: Path
) -> None:
    content = shard(
        [task("a", waits_apart, tmp_path / "begun"), task("b", int, 2), task("c", str, ref("b"))],
        ["a", "c"],
        options=OFTEN,
    )
    run.write(content)
    child = start()
    wait_until((tmp_path / "begun").exists)
    run.tell_orders(FIRST, Orders(asked=frozenset([0])))
    wait_until(lambda: run.files("manifests/"))
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 128 + signal.SIGTERM
    handed = run.manifest(ID, 0).handed
    assert handed is not None
    assert (handed.outputs, handed.tasks) == ((1,), {"b": 1, "c": 1})
    assert run.claim(ID, Claimant.CLIENT) is Claimant.CLIENT
    run.start(ID, attempt=2)
    assert run.read(content, ID) == {"a": "here"}
    final = run.manifest(ID).handed
    assert final is not None
    assert (final.outputs, list(final.extra)) == ((1,), [])
