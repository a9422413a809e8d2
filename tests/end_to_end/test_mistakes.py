"""Mistakes of our own, put at every edge: futures err or are finished, and later ones work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from distributed import Client, Future, wait

from dask_knot import KnotCluster
from dask_knot.errors import InternalError, KnotError
from dask_knot.local.fork import ForkLauncher
from dask_knot.session import driver
from dask_knot.tracking import events, gathering, tracker
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import fail, inc

pytestmark = pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")


class Mistake(Exception):
    """What nobody expects."""


class Once:
    """A call that raises once, after or instead of what it stands for."""

    def __init__(self, real: Callable[..., Any], is_late: bool = False) -> None:
        self._real = real
        self._is_late = is_late
        self.has_raised = False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise, or do it."""
        if self.has_raised:
            return self._real(*arguments, **options)
        self.has_raised = True
        if self._is_late:
            self._real(*arguments, **options)
        raise Mistake("injected")


def work_of_every_kind(client: Client) -> list[Future]:
    """Start graphs of two stages, with an error, and what reads both."""
    first = client.map(inc, range(6), pure=False)
    second = client.submit(sum, first, pure=False)
    return [*first, second, client.submit(fail, 1, pure=False), client.submit(inc, second)]


def come_to_an_end(futures: list[Future]) -> list[object]:
    """Wait for all futures; give what they raised, beside what the task that fails raises."""
    wait(futures, timeout=60)
    raised = [future.exception(timeout=30) for future in futures if future.status == "error"]
    return [error for error in raised if "cannot use" not in str(error)]


def check(client: Client, once: Once) -> list[object]:
    """Run into a mistake, and look that everything goes on."""
    errors = come_to_an_end(work_of_every_kind(client))
    until(lambda: once.has_raised)
    assert all(isinstance(error, KnotError) for error in errors)
    assert client.gather(client.map(inc, range(3), pure=False)) == [1, 2, 3]
    return errors


@pytest.mark.parametrize(
    "kind",
    [
        events.ArrivalBegan,
        events.ArrivalEnded,
        events.GraphSubmitted,
        events.GraphTaken,
        events.KeyAsked,
        events.PlanMade,
        events.ManifestFound,
        events.Ticked,
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_in_the_tracker(
    client: Client, monkeypatch: pytest.MonkeyPatch, kind: type, is_late: bool
) -> None:
    once = Once(tracker._HANDLERS[kind], is_late)
    monkeypatch.setitem(tracker._HANDLERS, kind, once)
    check(client, once)


@pytest.mark.parametrize("name", ["settle", "_request"])
def test_while_a_plan_is_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    once = Once(getattr(gathering, name))
    monkeypatch.setattr(gathering, name, once)
    errors = check(client, once)
    assert errors
    assert all(isinstance(error, InternalError) for error in errors)


def test_in_the_planner(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    once = Once(driver.make_plan)
    monkeypatch.setattr(driver, "make_plan", once)
    assert all(isinstance(error, InternalError) for error in check(client, once))


EDGES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("constants", lambda one: one._driver._submitter.constants, "put"),
    ("submission", lambda one: one._driver._submitter.run, "write_pack"),
    ("plugins", lambda one: one._driver._submitter.plugins, "publish"),
    ("submit", lambda one: one._service, "submit"),
    ("poll", lambda one: one._service, "poll"),
    ("prune", lambda one: one._service, "prune"),
    ("look", lambda one: one._lookout._watcher, "look"),
    ("list", lambda one: one._lookout._watcher, "_list"),
    ("read", lambda one: one._lookout._watcher, "_read_one"),
    ("cache", lambda one: one.values, "remember"),
    ("stuck", lambda one: one._lookout._stalls, "look"),
    ("due", lambda one: one._tracker, "due"),
    ("open", lambda one: one._tracker, "open_shards"),
]


@pytest.mark.parametrize(("part", "name"), [edge[1:] for edge in EDGES], ids=[e[0] for e in EDGES])
def test_at_an_edge(
    cluster: KnotCluster,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    part: Callable[[Any], Any],
    name: str,
) -> None:
    one = part(inside.session(cluster))
    once = Once(getattr(one, name))
    monkeypatch.setattr(one, name, once)
    check(client, once)


def test_what_cant_be_shown_is_lost_to_nobody(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(found: object) -> None:
        raise Mistake("injected")

    monkeypatch.setattr(inside.session(cluster).hooks, "found", show)
    assert not come_to_an_end(work_of_every_kind(client))


@pytest.mark.parametrize("name", ["release", "_delete"])
def test_what_cant_be_deleted_harms_nobody(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    driver: Any = inside.session(cluster)._driver
    one = driver._submitter.constants if name == "release" else driver
    once = Once(getattr(one, name))
    monkeypatch.setattr(one, name, once)
    client.submit(inc, 1, pure=False).result(timeout=30)
    assert not come_to_an_end(work_of_every_kind(client))
    until(lambda: once.has_raised)


@pytest.mark.parametrize("name", ["stimulus_task_finished", "handle_task_erred"])
def test_an_outcome_that_dask_doesnt_take(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    once = Once(getattr(cluster.scheduler, name))
    monkeypatch.setattr(cluster.scheduler, name, once)
    check(client, once) if name == "stimulus_task_finished" else wait(
        client.map(inc, range(3), pure=False), timeout=30
    )


@pytest.mark.parametrize("name", ["_note_start", "_note_exit", "_request"])
def test_in_what_starts_processes(
    cluster: KnotCluster, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    launcher: Any = inside.batch(cluster)._dispatcher._launcher
    assert isinstance(launcher, ForkLauncher)
    once = Once(getattr(launcher, name))
    monkeypatch.setattr(launcher, name, once)
    check(client, once)


def test_in_the_jobs_of_the_local_engine(
    open_cluster: Callable[..., KnotCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = open_cluster()
    dispatcher: Any = inside.batch(cluster)._dispatcher
    with Client(cluster) as client:
        once = Once(dispatcher._ledger.give_back)
        monkeypatch.setattr(dispatcher._ledger, "give_back", once)
        errors = come_to_an_end(work_of_every_kind(client))
        assert once.has_raised
        assert errors
        assert all(isinstance(error, KnotError) for error in errors)
