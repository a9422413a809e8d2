"""Plugins are written once per change, and never if there are none."""

from __future__ import annotations

import pytest

from dask_knot.errors import StoreError
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.plugins import JobPlugins


@pytest.fixture
def store() -> Store:
    return Store("memory://")


def stored(store: Store) -> int:
    return len(store.list("run/plugins/"))


def test_without_plugins_nothing_is_written(store: Store) -> None:
    ours = JobPlugins()
    assert ours.publish(Run(store, "run")) == ""
    ours.set({})
    assert ours.publish(Run(store, "run")) == ""
    assert not store.requests.get("put")
    assert stored(store) == 0


def test_each_change_is_written_once(store: Store) -> None:
    ours = JobPlugins()
    ours.set({"a": b"1"})
    first = ours.publish(Run(store, "run"))
    assert [ours.publish(Run(store, "run")) for _ in range(3)] == [first] * 3
    assert sum(store.requests.values()) == 1
    ours.set({"a": b"1", "b": b"2"})
    second = ours.publish(Run(store, "run"))
    assert second != first
    assert stored(store) == 2
    assert Run(store, "run").supplies.read_plugins(second) == [("a", b"1"), ("b", b"2")]
    ours.set({})
    assert ours.publish(Run(store, "run")) == ""
    ours.set({"a": b"1"})  # as before: another job may read it this very moment
    assert ours.publish(Run(store, "run")) == first
    assert Run(store, "run").supplies.read_plugins(first) == [("a", b"1")]
    assert stored(store) == 2


def test_another_cluster_of_the_same_run_may_have_written_it(store: Store) -> None:
    one, other = JobPlugins(), JobPlugins()
    for ours in (one, other):
        ours.set({"a": b"1"})
    assert one.publish(Run(store, "run")) == other.publish(Run(store, "run"))
    assert stored(store) == 1


class BrokenStore(Store):
    """A store that can't be written for a while."""

    is_broken = True

    def put_new(self, name: str, data: object) -> bool:
        """Refuse."""
        if self.is_broken:
            raise StoreError("the disk is full")
        return super().put_new(name, data)  # type: ignore[arg-type]


def test_what_could_not_be_written_is_tried_again() -> None:
    store, ours = BrokenStore("memory://"), JobPlugins()
    ours.set({"a": b"1"})
    with pytest.raises(StoreError):
        ours.publish(Run(store, "run"))
    store.is_broken = False
    digest = ours.publish(Run(store, "run"))
    assert Run(store, "run").supplies.read_plugins(digest) == [("a", b"1")]
