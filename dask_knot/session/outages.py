"""Errors that may pass, and calls on which no future depends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dask_knot.errors import KnotError, StoreGoneError

logger = logging.getLogger(__name__)


class Outage:
    """The network, the store or Batch is away: borne for a while, then the futures are told.

    Parameters
    ----------
    patience : float
        For so many seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None

    @property
    def is_present(self) -> bool:
        """Whether the last try failed."""
        return self._since is not None

    def end(self) -> None:
        """Note that all is well."""
        self._since = None

    def endure(self, error: Exception, now: float) -> KnotError | None:
        """Note that a try failed; give the error that is to be told when this is too much.

        A store that is gone for good is too much at once.
        """
        if isinstance(error, StoreGoneError):
            self._since = None
            return error
        if self._since is None:
            self._since = now
            logger.warning("jobs can't be watched at the moment, trying again: %s", error)
        elif now - self._since > self._patience:
            self._since = None
            if isinstance(error, KnotError):
                return error
            told = KnotError(f"jobs could not be watched for {self._patience:g} s: {error}")
            told.__cause__ = error
            return told
        return None


def tolerate(failure: str, call: Callable[..., object], *arguments: Any) -> None:
    """Call something on which no future depends; if it raises, log `failure` and go on."""
    try:
        call(*arguments)
    except Exception as error:
        logger.warning("%s: %s", failure, error)
        logger.debug("%s", failure, exc_info=True)


def log_mistake(error: BaseException) -> None:
    """Write down a mistake of ours, for a report."""
    logger.critical("dask_knot made a mistake, please report it", exc_info=error)
