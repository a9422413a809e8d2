"""Which plugins jobs can honour is known when they are registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from distributed import Environ, NannyPlugin, UploadFile, WorkerPlugin
from distributed.diagnostics.plugin import ForwardLoggingPlugin, ForwardOutput
from distributed.protocol import pickle

from dask_knot.cluster.plugins import check
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
