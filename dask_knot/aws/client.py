"""A boto3 client that bears with outages and takes up new credentials; its errors are ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dask_knot.aws.refusals import NOT_REACHED, REFUSALS, is_still_expired, translate
from dask_knot.errors import CredentialsError, KnotError

#: Seconds before AWS is asked again when it can't be reached; they double up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0

#: Waits for so many seconds.
Pause = Callable[[float], object]


@contextmanager
def translated(profile: str | None = None) -> Iterator[None]:
    """Let no exception of botocore out: each becomes one of ours."""
    try:
        yield
    except REFUSALS as error:
        raise translate(error, profile) from error
    except RuntimeError as error:
        if not is_still_expired(error):
            raise
        raise translate(error, profile) from error


class AwsClient:
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
    renewed : callable, optional
        Takes the client whose credentials were refused; gives one with others, or None.
    profile : str, optional
        What the user is to sign in with, should it be necessary.
    """

    def __init__(
        self,
        client: Any,
        patience: float = 0.0,
        pause: Pause = time.sleep,
        renewed: Callable[[Any], Any] | None = None,
        profile: str | None = None,
    ) -> None:
        self._client = client
        self._patience = patience
        self._pause = pause
        self._renewed = renewed
        self._profile = profile

    def __getattr__(self, name: str) -> Any:
        getattr(self._client, name)  # there is such a call

        def ask(**request: Any) -> Any:
            client = self._client
            try:
                return self._ask(client, name, request)
            except CredentialsError:
                other = self._renewed(client) if self._renewed else None
                if other is None:
                    raise
            self._client = other
            return self._ask(other, name, request)

        return ask

    def _ask(self, client: Any, name: str, request: Mapping[str, Any]) -> Any:
        """Ask until AWS can be reached, while there is patience."""
        deadline, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                with translated(self._profile):
                    return getattr(client, name)(**request)
            except KnotError as error:
                is_outage = isinstance(error.__cause__, NOT_REACHED)
                if not is_outage or time.monotonic() + pause > deadline:
                    raise
            self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
