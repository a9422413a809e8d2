"""The first look at a store in S3: with few tries, so that a wrong one is told within seconds.

Only whoever opens a store in a process that people watch looks first. What a running session asks
later is tried for minutes: an outage must not lose work.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import PermissionDeniedError

from dask_knot.errors import StoreAccessError, StoreError, StoreGoneError
from dask_knot.run.address import BucketAddress, address_without_boto
from dask_knot.run.answers import code_in, meaning_of, message_in
from dask_knot.run.causes import NO_CREDENTIALS, cause_in, plain
from dask_knot.run.opening import open_objects
from dask_knot.run.trouble import MISSING, TROUBLE, failed, has_bad_credentials

logger = logging.getLogger(__name__)

#: There need not be an object of that name.
NAME = "first-look"
#: A request of which nothing is heard, and the last try of another one, end after so long.
STILL = timedelta(seconds=4)
FEW_TRIES = {
    "max_retries": 3,
    "retry_timeout": STILL,
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2.0,
    },
}
#: obstore's own, where nobody names one.
USUAL_REGION = "us-east-1"
#: Where credentials may come from, by the variables that say so.
_SOURCES = (
    ("AWS_ACCESS_KEY_ID", "those of AWS_ACCESS_KEY_ID"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "those of AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "those of this container"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "those of this container"),
)
_GONE = "NoSuchBucket"


def look_first(url: str, requests: Counter[str], still: timedelta = STILL) -> None:
    """Ask a store in S3 for an object, so that a store that can't be used is told soon.

    Parameters
    ----------
    url : str
        The store; of one that isn't in S3 nothing is asked.
    requests : Counter
        Counts what is asked.
    still : timedelta
        For how long nothing may be heard of a request.

    Raises
    ------
    StoreError
        If nobody answers, there is no such bucket, or S3 refuses. The message says what was tried.
    """
    if not url.startswith("s3://"):
        return
    times = dict.fromkeys(("connect_timeout", "read_timeout", "timeout"), still)
    tries = {**FEW_TRIES, "retry_timeout": still}
    store = open_objects(url, {"retry_config": tries, "client_options": times})[1]
    try:
        _ask(store, requests)
    except TROUBLE as error:
        logger.debug("the first look at %s", url, exc_info=error)
        raise _told(url, error, os.environ) from None


def _ask(store: Any, requests: Counter[str]) -> None:
    try:
        requests["get"] += 1
        obstore.get(store, NAME)
    except MISSING as error:
        if _GONE in str(error):
            raise
    except PermissionDeniedError as error:
        if has_bad_credentials(error):
            raise
        # Who may not list isn't told of an object that it isn't there.
        requests["list"] += 1
        try:
            next(iter(obstore.list(store, chunk_size=1)), None)
        except TROUBLE:
            raise error from None


def _told(url: str, error: Exception, environ: Mapping[str, str]) -> StoreError:
    """Say what was tried, what is wrong, and what to do."""
    bucket = urlsplit(url).netloc
    kind, reason, fix = _explained(bucket, url, error, environ)
    tried = _tried(bucket, environ)
    return kind(f"the store {url} can't be opened: {reason}. Tried: {tried}. Fix: {fix}")


def _explained(
    bucket: str, url: str, error: Exception, environ: Mapping[str, str]
) -> tuple[type[StoreError], str, str]:
    said = str(error)
    kind, answer, cause = type(failed(url, "get", NAME, error)), meaning_of(said), cause_in(said)
    own = f"{code_in(said)}: {message_in(said)}".strip(": ").rstrip(".")
    if _GONE in said:
        fix = f"check its name and the endpoint, or make it: `aws s3 mb s3://{bucket}`"
        return StoreGoneError, f"there is no bucket {bucket!r}", fix
    if answer is not None and "another region" in answer.meaning:
        fix = f"set AWS_REGION to the bucket's own, which `aws s3api head-bucket --bucket {bucket}`"
        return StoreAccessError, answer.meaning + (f" ({own})" if own else ""), f"{fix} tells"
    if answer is not None:
        return kind, answer.meaning + (f" ({own})" if own else ""), _lower(answer.cure)
    if cause is not None and NO_CREDENTIALS in cause.text:
        return kind, "there are no credentials", _keys(environ)
    if cause is not None:
        return kind, cause.text, _lower(cause.cure)
    if isinstance(error, PermissionDeniedError):
        fix = "ask for the permissions that `dask knot policy` prints, or use a bucket of your own"
        return StoreAccessError, f"a permission is missing ({own or plain(said)})", fix
    return kind, plain(said), "check the name of the bucket, the endpoint and the network"


def _tried(bucket: str, environ: Mapping[str, str]) -> str:
    here = address_without_boto(bucket, environ) or BucketAddress(bucket, "", "")
    region = here.region or f"{USUAL_REGION} (AWS_REGION isn't set)"
    at = f", endpoint {here.endpoint}" if here.endpoint else ""
    found = next((said for name, said in _SOURCES if environ.get(name)), "")
    keys = found or "none in variables, so this machine's role was asked for"
    profile = environ.get("AWS_PROFILE")
    unread = f" (AWS_PROFILE={profile} isn't read by this engine)" if profile else ""
    return f"bucket {bucket!r}, region {region}{at}, credentials: {keys}{unread}"


def _keys(environ: Mapping[str, str]) -> str:
    profile = environ.get("AWS_PROFILE")
    named = f" --profile {profile}" if profile else ""
    return (
        "this engine reads no profiles, so give keys in variables before you start Python: "
        f'eval "$(aws configure export-credentials{named} --format env)"'
    )


def _lower(text: str) -> str:
    """Write a sentence so that it can follow a colon."""
    return text[:1].lower() + text[1:]
