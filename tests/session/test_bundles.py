"""The user's own modules are written once per change, and never if there are none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dask_knot.errors import StoreError
from dask_knot.modules import OwnModules
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.bundles import JobBundle

OLD = 10**9


@pytest.fixture
def store() -> Store:
    return Store("memory://")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a module of the user's own."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    file = tmp_path / "knot_mine.py"
    write(file, "X = 1\n")
    return file


def write(file: Path, text: str) -> None:
    """Write a module that is as old as another one was: its size must tell them apart."""
    file.write_text(text)
    os.utime(file, ns=(OLD, OLD))


def modules(file: Path) -> OwnModules:
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    return OwnModules({file.stem: module})


def puts(store: Store) -> int:
    return sum(n for name, n in store.requests.items() if name.startswith("put"))


def test_without_modules_nothing_is_written(store: Store) -> None:
    for ours in (JobBundle(), JobBundle(OwnModules({}))):
        assert ours.publish(Run(store, "run")) == ""
    assert not store.requests


def test_each_change_is_written_once(store: Store, file: Path) -> None:
    ours, run = JobBundle(modules(file)), Run(store, "run")
    first = ours.publish(run)
    assert [ours.publish(run) for _ in range(3)] == [first] * 3
    assert puts(store) == 1
    write(file, "X = 1000\n")
    second = ours.publish(run)
    assert second != first
    found = run.supplies.read_bundle(second)
    assert found is not None
    assert found.files[0].data == b"X = 1000\n"
    write(file, "X = 1\n")
    assert ours.publish(run) == first
    assert len(store.list("run/bundles/")) == 2


def test_two_edits_within_one_tick_of_the_clock(store: Store, file: Path) -> None:
    run, ours = Run(store, "run"), JobBundle(modules(file), clock=lambda: OLD + 1)
    first = ours.publish(run)
    assert ours.publish(run) == first
    assert puts(store) == 1
    write(file, "X = 2\n")  # as long, and as old
    assert ours.publish(run) != first


def test_another_session_of_the_same_run_may_have_written_it(store: Store, file: Path) -> None:
    digests = {JobBundle(modules(file)).publish(Run(store, "run")) for _ in range(2)}
    assert len(digests) == len(store.list("run/bundles/")) == 1


def test_what_jobs_could_not_read_is_written_again(store: Store, file: Path) -> None:
    ours, run = JobBundle(modules(file)), Run(store, "run")
    digest = ours.publish(run)
    store.put(run.names.bundle(digest), [b"damaged"])
    ours.forget()
    assert ours.publish(run) == digest
    assert run.supplies.read_bundle(digest) is not None


class BrokenStore(Store):
    """A store that can't be written for a while."""

    is_broken = True

    def put_new(self, *arguments: object) -> bool:
        """Raise, or not any more."""
        if self.is_broken:
            raise StoreError("away")
        return super().put_new(*arguments)  # type: ignore[arg-type]


def test_a_store_that_was_away(file: Path) -> None:
    store = BrokenStore("memory://")
    ours, run = JobBundle(modules(file)), Run(store, "run")
    with pytest.raises(StoreError):
        ours.publish(run)
    store.is_broken = False
    digest = ours.publish(run)
    assert run.supplies.read_bundle(digest) is not None
