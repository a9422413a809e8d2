"""An AWS session: credentials by boto3's standard chain, few clients, errors in plain words."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from dask_knot.aws.bucket import find_address, proxies_for, usual_certificates
from dask_knot.aws.client import AwsClient, Pause, translated
from dask_knot.aws.clientconfig import CONFIG, OUTAGE, PATIENT, regional
from dask_knot.aws.credentials import (
    Keys,
    for_obstore,
    keep_sessions,
    keys_of,
    no_credentials,
)
from dask_knot.aws.refusals import REFUSALS, REGION_HINT, code_of, translate
from dask_knot.errors import ConfigurationError
from dask_knot.extras import extra
from dask_knot.run.address import BucketAddress

with extra():
    import boto3
    from botocore.config import Config
    from botocore.utils import validate_region_name

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

logger = logging.getLogger(__name__)
#: What to do about an address that is none, and about a section that botocore stumbles over.
_CURES = (
    "Set AWS_ENDPOINT_URL to a URL, or leave it unset",
    "In ~/.aws/config, put the settings of a section such as `s3 =` on indented lines of their own",
)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell what botocore logs at each request, with a traceback, from what else it logs.

    Who watches says it himself, seldom.
    """
    return not str(record.msg).startswith(("Refreshing temporary credentials", "Refreshing token"))


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
    reopen : callable, optional
        Makes a `boto` anew, with the credentials that are there by then.
    """

    def __init__(
        self,
        boto: boto3.Session,
        config: Config = CONFIG,
        patience: float = 0.0,
        reopen: Callable[[], boto3.Session] | None = None,
    ) -> None:
        self.boto = boto
        self._config = config
        self._patience = patience
        self._reopen = reopen
        self._clients: dict[str, Any] = {}
        self._addresses: dict[tuple[str, str], BucketAddress] = {}
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

    def client_in(self, region: str, service: str) -> Any:
        """Make a client in another region, which the caller closes."""
        with self._lock:
            return self._make(service, region_name=region)

    def _make(self, service: str, **place: str) -> Any:
        with _explained():
            # Stubs know each service by its literal name only.
            return cast(Any, self.boto).client(service, config=regional(self._config), **place)

    def asking(self, service: str) -> Any:
        """Give a client whose exceptions are ours; the pages of paginators are botocore's."""
        return AwsClient(
            self.client(service),
            self._patience,
            renewed=partial(self._renewed, service),
            profile=self.boto.profile_name,
        )

    def patient(self) -> AwsSession:
        """Give a session for work: its `asking` clients bear with an outage."""
        for name in ("botocore.credentials", "botocore.tokens"):
            logging.getLogger(name).addFilter(_is_news)
        return AwsSession(self.boto, PATIENT, OUTAGE, self._reopen)

    def renew(self) -> bool:
        """Look for credentials after a refusal; tell whether there are others than before.

        botocore renews by itself what `aws sso login` and roles give, and never looks again at keys
        that it has read from a file or a variable. Not before a refusal: somebody who edits these
        files for another program must not move a cluster that is open into another account.
        """
        if self._reopen is None:
            return False
        with self._lock:
            try:
                boto = self._reopen()
                found = keys_of(boto)
            except Exception as error:  # of botocore, or of the program that a profile names
                logger.debug("there are no other credentials: %s", error)
                return False
            if found is None or found == self._held():
                return False
            self.boto = boto
            self._clients.clear()  # not closed: other threads may be using them
            return True

    def _held(self) -> Keys | None:
        """Give the credentials that are in use, if botocore can."""
        try:
            return keys_of(self.boto)
        except Exception as error:  # they have ended
            logger.debug("the credentials have ended: %s", error)
            return None

    def _renewed(self, service: str, held: Any) -> Any:
        """Give another client than the one that is held, if there are other credentials by now."""
        found = self.client(service)
        if found is held and self.renew():
            found = self.client(service)
        return None if found is held else found

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

    def address(self, bucket: str, region: str | None = None) -> BucketAddress:
        """Find where the requests for a bucket go: boto3's own, and those of the store.

        Raises
        ------
        AwsError, ConfigurationError
            If boto3 can't say it.
        """
        wanted = bucket, region or self.region
        with self._lock, _explained():
            if wanted not in self._addresses:  # it takes a client, a tenth of a second
                self._addresses[wanted] = find_address(self.boto, self._config, *wanted)
            return self._addresses[wanted]

    def told(self, url: str, region: str | None = None, kms_key: str | None = None) -> str:
        """Say where the bucket of a store is, for jobs; nothing if they can't get there."""
        parts = urlsplit(url)
        if parts.scheme != "s3":
            return ""
        address = replace(self.address(parts.netloc, region), kms_key=kms_key or "")
        return address.told(usual_certificates() if address.certificates else "")

    def store_options(
        self, url: str, region: str | None = None, anonymous: bool = False
    ) -> dict[str, Any]:
        """Give what a store needs to reach S3 as boto3 does, by the keywords of `Store`.

        Parameters
        ----------
        url : str
            ``s3://bucket/prefix``; of anything else there is nothing to say.
        region : str, optional
            Where the bucket is, if not in the region of the session.
        anonymous : bool
            Whether requests are sent without a signature, as for open data.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3":
            return {}
        address = self.address(parts.netloc, region)
        options = address.options()
        options["client_options"] |= proxies_for(address.endpoint)
        if anonymous:
            return {**options, "skip_signature": True}
        return {**options, "credential_provider": self._credentials, "renew": self.renew}

    def _credentials(self) -> dict[str, Any]:
        """Give the store credentials; those that have ended are looked for where they came from."""
        with translated(self.boto.profile_name):
            try:
                keys = keys_of(self.boto)
            except Exception:
                if not self.renew():
                    raise
                keys = keys_of(self.boto)
        if keys is None:
            raise no_credentials()
        return for_obstore(self.boto, keys)


@contextmanager
def _explained() -> Iterator[None]:
    """Explain what can be wrong before anything is asked: the address, for one."""
    try:
        with translated():
            yield
    except (ValueError, AttributeError) as error:  # no exceptions of botocore's own
        if isinstance(error, ConfigurationError):
            raise
        cure = _CURES[isinstance(error, AttributeError)]
        raise ConfigurationError(f"AWS can't be asked: {error}. {cure}") from error


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

    def reopen() -> boto3.Session:
        boto = boto3.Session(profile_name=profile, region_name=region or region_variable())
        if keep_sessions(boto):
            keys_of(boto)  # asks for the code: now, not when something else is waited for
        return boto

    with translated(profile):
        boto = reopen()
        if boto.region_name is None:
            raise ConfigurationError(f"AWS needs a region and none is set: {REGION_HINT}")
        validate_region_name(boto.region_name)
        if boto.get_credentials() is None:
            raise no_credentials()
    return AwsSession(boto, reopen=reopen)


def region_variable() -> str | None:
    """Give the region of AWS_REGION: boto3 reads the other, AWS_DEFAULT_REGION, only."""
    return os.environ.get("AWS_REGION") or None
