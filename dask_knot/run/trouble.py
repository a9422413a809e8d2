"""Says in plain words what a store has answered instead of doing what it was asked: each error of
obstore's becomes one of ours, with what to do."""

from __future__ import annotations

from typing import Any

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    ReadOnlyStoreError,
    StoreAccessError,
    StoreAwayError,
    StoreError,
    StoreGoneError,
)
from dask_knot.run.answers import Outlook, code_in, meaning_of, message_in
from dask_knot.run.causes import cause_in, plain

#: How obstore says that an object isn't there.
MISSING = (FileNotFoundError, NotFoundError)
#: What can go wrong when a store is asked; others are mistakes of ours.
TROUBLE = (BaseError, OSError, ValueError)
#: How obstore says that what boto3 knows of credentials doesn't help.
_PROVIDER = "External AWS credential provider: "
_CHECK = "Check that it exists, that you may write there, and that it isn't full"
#: What only those do who may write.
_WRITING = ("put", "delete")
#: How a folder says that nobody may write there; obstore has no kind of its own for the first.
_READ_ONLY = ("Read-only file system", "Permission denied", "Access is denied")


def missing(url: str, name: str) -> MissingObjectError:
    """Say that an object isn't there, and why that may be."""
    return MissingObjectError(f"{name} is not in the store {url}: {why_missing(url)}")


def why_missing(url: str) -> str:
    """Say why something may be missing in a store: in S3 objects of a stack expire."""
    if url.startswith("s3://"):
        return (
            "it was deleted, or never written, or it has expired: a stack's bucket deletes objects "
            "when they are `expiry-days` old (30, unless `dask knot up` was told otherwise)"
        )
    return "it was deleted, or never written"


def failed(url: str, operation: str, name: str, error: Exception) -> StoreError:
    """Say what could not be done with an object, why, and what to do."""
    reason, cure = _explained(error, url.startswith("s3:"))
    text = f"the store {url} failed to {operation} {name}: {reason}. {cure}"
    if operation in _WRITING and _is_read_only(url, error):
        return ReadOnlyStoreError(text)
    if url.startswith("file:") or isinstance(error, ValueError):
        return StoreError(text)
    return StoreAccessError(text) if _is_refused(error) else StoreAwayError(text)


def _explained(error: Exception, is_s3: bool) -> tuple[str, str]:
    """Give the reason, with what S3 or the network has said of it, and the cure."""
    said = plain(str(error))
    answer, cause = meaning_of(str(error)), cause_in(str(error))
    if isinstance(error, UnauthenticatedError) and answer is None:
        return said.rpartition(_PROVIDER)[2], "Sign in again: `aws sso login`, or `aws configure`"
    if answer is not None:
        own = f"{code_in(said)}: {message_in(said)}".strip(": ") or said
        return f"{answer.meaning} ({own.rstrip('.')})", answer.cure
    if cause is not None and is_s3:
        return f"{cause.text} ({said})", cause.cure
    if isinstance(error, PermissionDeniedError):
        return said, "Ask for the permission; in S3, `dask knot policy` prints all you need"
    return said, _CHECK


def cut_off(url: str, name: str, size: int) -> CorruptObjectError:
    """Say that an object has fewer bytes than so many."""
    return CorruptObjectError(
        f"{name} in {url} is shorter than {size} bytes: it was cut off after it was written"
    )


def is_shorter(store: Any, name: str, size: int) -> bool:
    """Tell whether an object of obstore's is known to be there, with fewer bytes than so many."""
    try:
        return int(obstore.head(store, name)["size"]) < size
    except TROUBLE:
        return False


def may_pass(url: str, error: StoreError) -> bool:
    """Tell whether an error may be gone a moment later; of S3, a missing permission stays so."""
    hopeless = (MissingObjectError, CorruptObjectError, StoreGoneError, StoreAccessError)
    if isinstance(error, hopeless):
        return False
    return url.startswith("file:") or not isinstance(error, ReadOnlyStoreError)


def has_bad_credentials(error: Exception) -> bool:
    """Tell whether S3 says that the credentials have ended or are wrong, or there are none."""
    return isinstance(error, UnauthenticatedError) or _fault(error) is Outlook.CREDENTIALS


def _fault(error: Exception) -> Outlook | None:
    answer = meaning_of(str(error)) if isinstance(error, BaseError) else None
    return answer.outlook if answer is not None else None


def _is_denied(error: Exception) -> bool:
    return isinstance(error, PermissionDeniedError) and not has_bad_credentials(error)


def _is_refused(error: Exception) -> bool:
    """Tell whether S3 refuses, and not only for a moment."""
    return _is_denied(error) or _fault(error) is Outlook.REFUSAL


def _is_read_only(url: str, error: Exception) -> bool:
    if _is_denied(error) or isinstance(error, PermissionError):
        return True
    return url.startswith("file:") and any(text in str(error) for text in _READ_ONLY)
