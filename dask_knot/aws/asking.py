"""A client that raises our own errors, and bears with a network that is gone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dask_knot.aws.refusals import NOT_REACHED, REFUSALS, translate

#: Seconds before AWS is asked again when it can't be reached; they double up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


class Asking:
    """The calls of a boto3 client, with our own errors; the pages of paginators are botocore's.

    botocore's own retries end an outage too soon: they are made for single lost requests, and a
    quota that all calls of a client share lets them fail at once when it is used up.

    Parameters
    ----------
    client : boto3 client
        What is asked.
    patience : float
        Seconds after which it is an error that AWS can't be reached. What AWS refuses is one at
        once.
    pause : callable
        Waits for so many seconds.
    """

    def __init__(
        self, client: Any, patience: float = 0.0, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._client = client
        self._patience = patience
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def ask(**request: Any) -> Any:
            deadline, pause = time.monotonic() + self._patience, FIRST_PAUSE
            while True:
                try:
                    return call(**request)
                except REFUSALS as error:
                    is_outage = isinstance(error, NOT_REACHED)
                    if not is_outage or time.monotonic() + pause > deadline:
                        raise translate(error) from error
                self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

        return ask
