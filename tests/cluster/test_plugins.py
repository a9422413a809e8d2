"""Which plugins jobs can honour is known when they are registered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Environ, NannyPlugin, UploadFile, WorkerPlugin
from distributed.diagnostics.plugin import (
    ForwardLoggingPlugin,
    ForwardOutput,
    SchedulerUploadFile,
)
from distributed.protocol import pickle
from distributed.shuffle import ShuffleWorkerPlugin

from dask_knot.cluster.plugins import PluginRegistry, check
from dask_knot.errors import LiveWorkerError


class Plain(WorkerPlugin):
    """Sets up."""


class Settings(Environ):
    """Sets variables, under a name of its own."""


class Restarter(NannyPlugin):
    """Needs a nanny."""


class Follower(Plain):
    """Follows the states of tasks."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Follow."""


@pytest.mark.parametrize(
    "plugin", [Plain(), Environ({"A": 1}), Settings({"A": 2}), UploadFile(str(Path(__file__)))]
)
def test_what_jobs_can_honour(plugin: Any) -> None:
    assert type(check("a-name", pickle.dumps(plugin))) is type(plugin)


@pytest.mark.parametrize(
    ("plugin", "instead"),
    [
        (Restarter(), "A WorkerPlugin sets up each job"),
        (Follower(), "A SchedulerPlugin sees"),
        (ForwardOutput(), r"cluster\.logs"),
        (ForwardLoggingPlugin("a", 10, "b"), r"cluster\.logs"),
    ],
)
def test_what_they_cant(plugin: Any, instead: str) -> None:
    with pytest.raises(LiveWorkerError, match=rf"^plugin 'a-name' .*\. {instead}"):
        check("a-name", pickle.dumps(plugin))


class Kept:
    """A registry without a scheduler, and what it has passed on to jobs."""

    def __init__(self) -> None:
        self.passed_on: list[list[str]] = []
        scheduler = SimpleNamespace(
            worker_plugins={}, nanny_plugins={}, workers={"tcp://gateway": None}
        )
        self.registry = PluginRegistry(scheduler, lambda found: self.passed_on.append([*found]))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def plain() -> bytes:
    return pickle.dumps(Plain())


def test_nannies_plugins_come_first_and_the_newest_last(kept: Kept) -> None:
    registry = kept.registry
    answer = registry.add_to_workers(plain(), "one", idempotent=False)
    assert answer == {"tcp://gateway": {"status": "OK"}}
    registry.add_to_workers(plain(), "two", idempotent=False)
    registry.add_to_nannies(pickle.dumps(Environ({"A": 1})), "first", idempotent=False)
    registry.add_to_workers(plain(), "one", idempotent=False)
    assert registry.add_to_workers(plain(), "two", idempotent=True) == {}
    assert kept.passed_on[-1] == ["first", "two", "one"]
    registry.remove_from_workers("two")
    registry.remove_from_nannies("first")
    assert kept.passed_on[-2:] == [["first", "one"], ["one"]]
    with pytest.raises(ValueError, match="two does not exist"):
        registry.remove_from_workers("two")


def test_dasks_own_shuffle_plugin_stays_here(kept: Kept) -> None:
    kept.registry.add_to_workers(pickle.dumps(ShuffleWorkerPlugin()), "shuffle", idempotent=False)
    assert kept.passed_on == [[]]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_file_that_cant_be_imported_here_goes_to_no_job(kept: Kept, is_first: bool) -> None:
    """`Client.upload_file` registers it for scheduler and workers at the same time."""

    async def refuse(plugin: object, name: str | None) -> None:
        raise ImportError(name)

    if not is_first:
        kept.registry.add_to_workers(plain(), "file", idempotent=False)
    upload = SchedulerUploadFile(str(Path(__file__)))
    with pytest.raises(ImportError, match="file"):
        asyncio.run(kept.registry.add_to_scheduler(refuse, pickle.dumps(upload), "file"))
    if is_first:
        assert kept.registry.add_to_workers(plain(), "file", idempotent=False) == {}
    assert kept.passed_on[-1:] == ([] if is_first else [[]])
