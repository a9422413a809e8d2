"""Outcomes of keys, told to Dask's scheduler as a worker would tell them, without a message."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol, cast

from dask.typing import Key
from distributed.protocol import to_serialize

from dask_knot.errors import InternalError
from dask_knot.run.failure import fail
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.tracking import actions

logger = logging.getLogger(__name__)

Messages = dict[str, list[Any]]
#: What Dask writes down as the cause.
FINISHED = "knot-task-finished"


class TaskRegister(Protocol):
    """A scheduler, as it is needed here: its tasks, and what workers tell it."""

    tasks: Mapping[Key, Any]

    @property
    def gateway_address(self) -> str:
        """The address of the one worker."""

    def stimulus_task_finished(
        self, *, key: Key, worker: str, stimulus_id: str, run_id: int, **message: Any
    ) -> tuple[dict[Key, Any], Messages, Messages]:
        """Take a key for done; give what is to follow from it, and be said to clients, workers."""

    def send_all(self, client_msgs: Messages, worker_msgs: Messages) -> None:
        """Say something to clients and workers."""

    def transitions(self, recommendations: dict[Key, Any], stimulus_id: str) -> None:
        """Let keys change their states."""

    def handle_task_erred(self, *, key: Key, stimulus_id: str, run_id: int, **message: Any) -> None:
        """Take a key for erred."""


class Outcomes:
    """Tells a scheduler how keys ended.

    Parameters
    ----------
    scheduler : TaskRegister
        Wants to know.
    """

    def __init__(self, scheduler: TaskRegister) -> None:
        self._scheduler = scheduler

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Tell Dask how keys ended, in their order; those that follow each other go together."""
        for is_finished, some in groupby(outcomes, _is_finished):
            if is_finished:
                self._finish(cast("list[actions.FinishKey]", [*some]))
            else:
                for outcome in some:
                    self._attempt(self._tell_erred, outcome)

    def _finish(self, outcomes: Sequence[actions.FinishKey]) -> None:
        """Tell Dask that keys are done, and clients of all of them in one message."""
        followed: dict[Key, Any] = {}
        for_clients: Messages = {}
        for_workers: Messages = {}
        gateway = self._scheduler.gateway_address

        def take(outcome: actions.FinishKey) -> None:
            follows, to_clients, to_workers = self._finished(outcome, gateway)
            followed.update(follows)
            for addressee, said in to_clients.items():
                for_clients.setdefault(addressee, []).extend(said)
            for addressee, said in to_workers.items():
                for_workers.setdefault(addressee, []).extend(said)

        for outcome in outcomes:
            if not self._is_stale(outcome.key, outcome.run_id):
                self._attempt(take, outcome)
        self._scheduler.send_all(for_clients, for_workers)
        if followed:
            self._scheduler.transitions(followed, FINISHED)

    def _finished(
        self, outcome: actions.FinishKey, gateway: str
    ) -> tuple[dict[Key, Any], Messages, Messages]:
        facts = outcome.facts
        return self._scheduler.stimulus_task_finished(
            key=outcome.key,
            worker=gateway,
            stimulus_id=FINISHED,
            run_id=outcome.run_id,
            metadata={},
            nbytes=facts.nbytes,
            type=facts.type,
            typename=facts.typename,
            startstops=[{"action": "compute", "start": facts.start, "stop": facts.stop}],
            thread=0,
        )

    def _tell_erred(self, outcome: Any) -> None:
        if not self._is_stale(outcome.key, outcome.run_id):
            self._err(outcome)

    def _attempt(self, tell: Callable[[Any], None], outcome: Outcome) -> None:
        try:
            tell(outcome)
        except Exception as error:  # the other keys must not wait for this one
            logger.critical("%r could not be told to Dask", outcome.key, exc_info=error)
            self._refuse(outcome, error)

    def _refuse(self, outcome: Outcome, error: Exception) -> None:
        """Err a key whose outcome Dask couldn't take."""
        fault = fail(InternalError.of(error), outcome.key)
        try:
            if not self._is_stale(outcome.key, outcome.run_id):
                self._err(ErredKey(outcome.key, outcome.run_id, fault))
        except Exception:
            logger.critical("%r has no outcome", outcome.key, exc_info=True)

    def _is_stale(self, key: Key, run_id: int) -> bool:
        task = self._scheduler.tasks.get(key)
        return task is None or task.state != "processing" or task.run_id != run_id

    def _err(self, outcome: ErredKey) -> None:
        failure = outcome.failure
        if outcome.is_upstream:
            self._scheduler.tasks[outcome.key].retries = 0
        self._scheduler.handle_task_erred(
            key=outcome.key,
            worker=self._scheduler.gateway_address,
            stimulus_id="knot-task-erred",
            run_id=outcome.run_id,
            exception=to_serialize(failure.exception),
            traceback=None if failure.traceback is None else to_serialize(failure.traceback),
            exception_text=failure.exception_text,
            traceback_text=failure.traceback_text,
        )


def _is_finished(outcome: Outcome) -> bool:
    return isinstance(outcome, actions.FinishKey)
