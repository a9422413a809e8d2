"""Every key gets its outcome, the others' too when one can't be told, and none gets an old one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from distributed.protocol import pickle

from dask_knot.cluster.outcomes import Outcomes
from dask_knot.errors import InternalError, KnotError
from dask_knot.run.failure import fail
from dask_knot.run.manifest import NOWHERE
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.tracking.actions import Facts, FinishKey

FACTS = Facts(8, b"", "int", 1.0, 2.0)


class Dask:
    """Tasks that are being processed, and what is told of them."""

    gateway_address = "tcp://gateway"

    def __init__(self, **runs: int) -> None:
        self.tasks: dict[Any, Any] = {
            key: SimpleNamespace(state="processing", run_id=run, retries=3)
            for key, run in runs.items()
        }
        self.finished: list[Any] = []
        self.erred: dict[Any, Exception] = {}
        self.sent: list[Any] = []
        self.followed: list[Any] = []

    def stimulus_task_finished(self, *, key: Any, **message: Any) -> tuple[Any, Any, Any]:
        """Note it; one key is more than Dask can take. Clients wait for it, and tasks."""
        if key == "bad":
            raise ValueError(key)
        assert message["worker"] == self.gateway_address
        self.tasks[key].state = "memory"
        self.finished.append(key)
        to_clients = {"a client": [f"{key} is there"]}
        return {f"{key}'s reader": "processing"}, to_clients, {self.gateway_address: [key]}

    def send_all(self, *messages: Any) -> None:
        """Note messages to clients and workers."""
        self.sent.append(messages)

    def transitions(self, recommendations: Any, stimulus_id: str) -> None:
        """Note what follows."""
        self.followed.append(recommendations)

    def handle_task_erred(self, *, key: Any, exception: Any, **message: Any) -> None:
        """Note it."""
        self.erred[key] = pickle.loads(exception.data)


def told(dask: Dask, *outcomes: Outcome) -> None:
    Outcomes(dask).tell(outcomes)


def erred(key: str, is_upstream: bool = False) -> ErredKey:
    return ErredKey(key, 1, fail(KnotError("lost"), key), is_upstream)


def test_a_value_and_an_error() -> None:
    dask = Dask(a=1, b=1)
    told(dask, FinishKey("a", 1, NOWHERE, FACTS), erred("b"))
    assert dask.finished == ["a"]
    assert list(dask.erred) == ["b"]


@pytest.mark.parametrize("run", [2, None])
def test_what_nobody_waits_for_is_not_told(run: int | None) -> None:
    dask = Dask() if run is None else Dask(a=run)
    told(dask, FinishKey("a", 1, NOWHERE, FACTS), erred("a"))
    assert (dask.finished, dask.erred) == ([], {})


def test_one_that_can_t_be_told_errs_alone(caplog: pytest.LogCaptureFixture) -> None:
    dask = Dask(bad=1, good=1)
    told(dask, FinishKey("bad", 1, NOWHERE, FACTS), FinishKey("good", 1, NOWHERE, FACTS))
    assert dask.finished == ["good"]
    assert isinstance(dask.erred["bad"], InternalError)
    assert "could not be told" in caplog.text


def test_retries_are_for_the_task_that_failed() -> None:
    """A task before it failed, and was tried as often as it may be."""
    dask = Dask(a=1, b=1)
    told(dask, erred("a"), erred("b", is_upstream=True))
    assert (dask.tasks["a"].retries, dask.tasks["b"].retries) == (3, 0)
    assert [str(error) for error in dask.erred.values()] == ["lost"] * 2


def done(key: str) -> FinishKey:
    return FinishKey(key, 1, NOWHERE, FACTS)


def test_what_is_told_together_is_said_in_one_message() -> None:
    dask = Dask(a=1, b=1, c=1, bad=1, d=1)
    told(dask, done("a"), done("a"), done("bad"), done("b"), erred("c"), done("d"))
    assert dask.finished == ["a", "b", "d"]
    assert [*dask.erred] == ["bad", "c"]
    said = [messages["a client"] for messages, _ in dask.sent]
    assert said == [["a is there", "b is there"], ["d is there"]]
    assert [messages[dask.gateway_address] for _, messages in dask.sent] == [["a", "b"], ["d"]]
    followed = [
        dict.fromkeys(some, "processing") for some in (["a's reader", "b's reader"], ["d's reader"])
    ]
    assert dask.followed == followed
