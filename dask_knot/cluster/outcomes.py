"""Outcomes of keys, told to Dask's scheduler as a worker would tell them, without a message."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol import to_serialize

from dask_knot.errors import InternalError
from dask_knot.run.failure import fail
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.tracking import actions

logger = logging.getLogger(__name__)


class TaskRegister(Protocol):
    """A scheduler, as it is needed here: its tasks, and what workers tell it."""

    tasks: Mapping[Key, Any]

    @property
    def gateway_address(self) -> str:
        """The address of the one worker."""

    def handle_task_finished(
        self, *, key: Key, worker: str, stimulus_id: str, run_id: int, **message: Any
    ) -> None:
        """Take a key for done."""

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
        """Tell Dask how keys ended."""
        for outcome in outcomes:
            try:
                self._tell(outcome)
            except Exception as error:  # the other keys must not wait for this one
                logger.critical("%r could not be told to Dask", outcome.key, exc_info=error)
                self._refuse(outcome, error)

    def finish(self, key: Key, run_id: int, facts: actions.Facts) -> None:
        """Tell Dask that a key is done, if it still waits for that."""
        if self._is_stale(key, run_id):
            return
        self._scheduler.handle_task_finished(
            key=key,
            worker=self._scheduler.gateway_address,
            stimulus_id="knot-task-finished",
            run_id=run_id,
            metadata={},
            nbytes=facts.nbytes,
            type=facts.type,
            typename=facts.typename,
            startstops=[{"action": "compute", "start": facts.start, "stop": facts.stop}],
            thread=0,
        )

    def _tell(self, outcome: Outcome) -> None:
        if isinstance(outcome, actions.FinishKey):
            self.finish(outcome.key, outcome.run_id, outcome.facts)
        elif not self._is_stale(outcome.key, outcome.run_id):
            self._err(outcome)

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
