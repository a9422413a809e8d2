"""Trouble that may pass: the network, the store or Batch is away for a while."""

from __future__ import annotations

import logging

from dask_knot.errors import KnotError, StoreGoneError

logger = logging.getLogger(__name__)


class Trouble:
    """Bears with errors for a while, then lets the futures know.

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
