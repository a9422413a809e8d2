"""Says in plain words what a store has answered instead of doing what it was asked: each error of
obstore's becomes one of ours, with what to do."""

from __future__ import annotations

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
from dask_knot.run.opening import plain_text

#: How S3, inside obstore's errors, says that the credentials are at fault, and no permission.
_CREDENTIALS = (
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
)
#: How obstore says that an object isn't there.
MISSING = (FileNotFoundError, NotFoundError)
#: What can go wrong when a store is asked; others are mistakes of ours.
TROUBLE = (BaseError, OSError, ValueError)
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
    """Say what could not be done with an object, and what to do."""
    text = f"the store {url} failed to {operation} {name}: {plain_text(error)}. {_cure(error)}"
    if operation in _WRITING and _is_read_only(url, error):
        return ReadOnlyStoreError(text)
    if url.startswith("file:") or isinstance(error, ValueError):
        return StoreError(text)
    return StoreAccessError(text) if _is_denied(error) else StoreAwayError(text)


def may_pass(url: str, error: StoreError) -> bool:
    """Tell whether an error may be gone a moment later; of S3, a missing permission stays so."""
    hopeless = (MissingObjectError, CorruptObjectError, StoreGoneError, StoreAccessError)
    if isinstance(error, hopeless):
        return False
    return url.startswith("file:") or not isinstance(error, ReadOnlyStoreError)


def has_bad_credentials(error: Exception) -> bool:
    """Tell whether S3 says that the credentials have ended or are wrong, or there are none."""
    if isinstance(error, UnauthenticatedError):
        return True
    return isinstance(error, BaseError) and any(f"<Code>{c}<" in str(error) for c in _CREDENTIALS)


def _is_denied(error: Exception) -> bool:
    return isinstance(error, PermissionDeniedError) and not has_bad_credentials(error)


def _is_read_only(url: str, error: Exception) -> bool:
    if _is_denied(error) or isinstance(error, PermissionError):
        return True
    return url.startswith("file:") and any(text in str(error) for text in _READ_ONLY)


def _cure(error: Exception) -> str:
    if has_bad_credentials(error):
        return "Sign in again: `aws sso login`, or `aws configure`"
    if isinstance(error, PermissionDeniedError):
        return "Ask for the permission; in S3, `dask knot policy` prints all that are needed"
    return "Check that it exists, that you may write there, and that it isn't full"
