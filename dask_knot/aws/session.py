"""An AWS session: credentials by boto3's standard chain, few clients, errors in plain words."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.utils import validate_region_name

from dask_knot.aws.refusals import NOT_REACHED, REFUSALS, REGION_HINT, code_of, translate
from dask_knot.errors import ConfigurationError, CredentialsError

__all__ = [
    "CONFIG",
    "REFUSALS",
    "AwsClient",
    "AwsSession",
    "Pause",
    "code_of",
    "open_aws_session",
    "translate",
    "translated",
]


def _config(attempts: int) -> Config:
    # The adaptive mode slows down by itself when an account has too many callers: Batch takes
    # about 50 calls a second from all of them. The pauses between attempts double, up to 20 s.
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=60,
        user_agent_extra="dask_knot",
    )


#: For somebody who waits: without a network it is said after some ten seconds.
CONFIG = _config(6)
#: For work that must not be lost when AWS is busy for minutes, ...
PATIENT = _config(13)
#: ... or when the network is gone: so many seconds, as the store has it.
OUTAGE = 120.0
#: So long the store keeps credentials before it asks botocore again, which renews them 15 minutes
#: before they expire.
CREDENTIALS_FOR = timedelta(minutes=5)

#: Seconds before AWS is asked again when it can't be reached; they double up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0

#: Waits for so many seconds.
Pause = Callable[[float], object]


@contextmanager
def translated() -> Iterator[None]:
    """Let no exception of botocore out: each becomes one of ours."""
    try:
        yield
    except REFUSALS as error:
        raise translate(error) from error


class AwsSession:
    """A boto3 session with one client per service, made when first asked for.

    Parameters
    ----------
    boto : boto3.Session
        Where credentials and region come from.
    config : botocore.config.Config
        What all clients are made with.
    patience : float
        For so many seconds `asking` clients bear with an AWS that can't be reached.
    """

    def __init__(self, boto: boto3.Session, config: Config = CONFIG, patience: float = 0.0) -> None:
        self.boto = boto
        self._config = config
        self._patience = patience
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # boto3 may share clients between threads, not make them

    def __repr__(self) -> str:
        return f"<AwsSession in {self.boto.region_name}>"

    @property
    def region(self) -> str:
        """The region, such as ``eu-west-1``."""
        return str(self.boto.region_name)

    def client(self, service: str) -> Any:
        """Give the client of a service; its exceptions are botocore's (see `translated`)."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str) -> Any:
        try:
            with translated():
                # Stubs know each service by its literal name only.
                return cast(Any, self.boto).client(service, config=self._config)
        except ValueError as error:  # no exception of botocore's own
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"AWS can't be asked: {error}. Set AWS_ENDPOINT_URL to a URL, or leave it unset"
            ) from error

    def asking(self, service: str) -> Any:
        """Give a client whose exceptions are ours; the pages of paginators are botocore's."""
        return AwsClient(self.client(service), self._patience)

    def patient(self) -> AwsSession:
        """Give a session for work: its `asking` clients bear with an outage."""
        return AwsSession(self.boto, PATIENT, OUTAGE)

    def close(self) -> None:
        """Close the connections of all clients."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def identity(self) -> dict[str, str]:
        """Ask AWS who these credentials are: ``Account``, ``Arn`` and ``UserId``.

        Raises
        ------
        AwsError
            If AWS doesn't know them or can't be reached.
        """
        with translated():
            found = self.client("sts").get_caller_identity()
        return {name: str(found[name]) for name in ("Account", "Arn", "UserId")}

    def endpoint(self, service: str) -> str | None:
        """Give the address of a service when it isn't AWS's own."""
        address = str(self.client(service).meta.endpoint_url)
        return None if "amazonaws.com" in address else address

    def store_options(self) -> dict[str, Any]:
        """Give what obstore needs to reach S3 as boto3 does; it knows no profiles and no SSO."""
        options: dict[str, Any] = {"region": self.region, "credential_provider": self._credentials}
        endpoint = self.endpoint("s3")
        if endpoint is not None:
            plain = endpoint.startswith("http://")
            options |= {"endpoint": endpoint, "client_options": {"allow_http": plain}}
        return options

    def _credentials(self) -> dict[str, Any]:
        with translated():
            credentials = self.boto.get_credentials()
            if credentials is None:
                raise no_credentials()
            frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + CREDENTIALS_FOR,
        }


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
    """

    def __init__(self, client: Any, patience: float = 0.0, pause: Pause = time.sleep) -> None:
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


def open_aws_session(profile: str | None = None, region: str | None = None) -> AwsSession:
    """Open a session with boto3's standard chain: SSO, assumed roles, ``AWS_PROFILE``, instances.

    Nothing is asked of AWS yet, except where the chain itself does so.

    Parameters
    ----------
    profile : str, optional
        A profile of ``~/.aws/config``.
    region : str, optional
        The region, if not the profile's or that of ``AWS_REGION``.

    Raises
    ------
    CredentialsError
        If there are no credentials, or the profile doesn't exist.
    ConfigurationError
        If no region is named, or what is named is none.
    """
    with translated():
        boto = boto3.Session(profile_name=profile, region_name=region or _region_variable())
        if boto.region_name is None:
            raise ConfigurationError(f"AWS needs a region and none is set: {REGION_HINT}")
        validate_region_name(boto.region_name)
        if boto.get_credentials() is None:
            raise no_credentials()
    return AwsSession(boto)


def no_credentials() -> CredentialsError:
    """Make the error that says how to get credentials."""
    return CredentialsError(
        "there are no AWS credentials: run `aws configure` or `aws sso login`, or set AWS_PROFILE"
    )


def _region_variable() -> str | None:
    # boto3 reads AWS_DEFAULT_REGION; the other SDKs, and containers, have AWS_REGION.

    return os.environ.get("AWS_REGION") or None
