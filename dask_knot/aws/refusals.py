"""Refusals of AWS and botocore as our own exceptions: what happened, and what to do. Pure."""

from __future__ import annotations

import re
from typing import Any

from dask_knot.errors import (
    AccessError,
    AwsError,
    ConfigurationError,
    CredentialsError,
    KnotError,
    QuotaError,
    UnreachableError,
)
from dask_knot.extras import extra

with extra():
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

REGION_HINT = "set AWS_REGION or knot.aws.region, or run `aws configure`"
#: How botocore, in a plain RuntimeError, says that nobody has renewed what it asked to be renewed.
_STILL_EXPIRED = "refreshed credentials are still expired"

#: Error codes that mean that the credentials are at fault, with what is wrong with them.
_CREDENTIALS = {
    "ExpiredToken": "have expired",
    "ExpiredTokenException": "have expired",
    "RequestExpired": "have expired, or this machine's clock is wrong",
    "RequestTimeTooSkewed": "can't be used while this machine's clock is wrong",
    "InvalidClientTokenId": "are unknown to AWS",
    "InvalidAccessKeyId": "are unknown to AWS",
    "UnrecognizedClientException": "are unknown to AWS",
    "InvalidToken": "are unknown to AWS",
    "InvalidSignatureException": "have a wrong secret key",
    "SignatureDoesNotMatch": "have a wrong secret key",
    "AuthFailure": "are unknown to AWS",
    "MissingAuthenticationToken": "are missing",
}
_ACCESS = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "UnauthorizedAccess",
    "NotAuthorized",
    "403",
}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
}
_PAGE = re.compile(r"\s*<(!doctype|html|head|body)\b", re.IGNORECASE)
_QUOTA = re.compile(r"(LimitExceeded|QuotaExceeded|TooMany(Buckets|Jobs))")

#: Exceptions that botocore raises before, or instead of, an answer of AWS.
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
    boto.MetadataRetrievalError,
    boto.InfiniteLoopConfigError,
    boto.RefreshWithMFAUnsupportedError,
    # `aws login`, which the oldest botocore that we take doesn't have.
    getattr(boto, "LoginError", boto.SSOError),
)
NOT_REACHED = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)
#: All that botocore raises of AWS.
REFUSALS = (boto.BotoCoreError, boto.ClientError, ResponseParserError)


def is_still_expired(error: Exception) -> bool:
    """Tell botocore's plain RuntimeError about credentials from any other."""
    return isinstance(error, RuntimeError) and _STILL_EXPIRED in str(error)


def translate(error: Exception, profile: str | None = None) -> KnotError:
    """Turn an exception of botocore into one of ours.

    Parameters
    ----------
    error : Exception
        What botocore raised. One of ours is returned as it is.
    profile : str, optional
        The profile of ``~/.aws/config`` that is in use, to be named in what is to be done.
    """
    if isinstance(error, KnotError):
        return error
    if isinstance(error, boto.ClientError):
        return _refused(error, profile)
    if isinstance(error, boto.NoRegionError):
        return ConfigurationError(f"AWS needs a region and none is set: {REGION_HINT}")
    if isinstance(error, boto.InvalidRegionError):
        return ConfigurationError(f"{str(error).rstrip('.')}: {REGION_HINT}")
    if isinstance(error, boto.MissingDependencyException):
        return CredentialsError(
            f"signing in this way needs another package: {str(error).rstrip('.')}: run pip "
            "install 'botocore[crt]'"
        )
    if isinstance(error, _NO_CREDENTIALS) or is_still_expired(error):
        return CredentialsError(
            f"there are no usable AWS credentials: {str(error).rstrip('.')}; {_sign_in(profile)}"
        )
    if isinstance(error, NOT_REACHED):
        return UnreachableError(
            f"AWS can't be reached: {str(error).rstrip('.')}. {_way_out(error)}"
        )
    if isinstance(error, ResponseParserError):
        return _not_of_aws(str(error))
    return AwsError(f"AWS can't be asked: {error}")


def _not_of_aws(said: str) -> UnreachableError:
    return UnreachableError(
        f"the answer didn't come from AWS ({' '.join(said.split())[:300]}). Check the "
        "network: a proxy or a sign-in page may have answered instead"
    )


def _way_out(error: Exception) -> str:
    """Say what to do about a network that doesn't let anybody through."""
    if isinstance(error, boto.SSLError):
        return (
            "If a proxy signed the certificate, set AWS_CA_BUNDLE to its authority's "
            "certificate file"
        )
    if isinstance(error, boto.ProxyConnectionError):
        return "Check HTTPS_PROXY (http://NAME:PASSWORD@HOST:PORT) and NO_PROXY"
    return "Check the network, AWS_ENDPOINT_URL, and that the region exists"


#: Calls whose refusals don't say which permission is missing.
_ACTIONS = {
    "GetProducts": "pricing:GetProducts",
    "DescribeSpotPriceHistory": "ec2:DescribeSpotPriceHistory",
    "GetSpotPlacementScores": "ec2:GetSpotPlacementScores",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "DeleteObjects": "s3:DeleteObject",
    **{name: f"s3:{name}" for name in ("DeleteObject", "GetObject", "PutObject")},
}


def action_of(error: boto.ClientError) -> str:
    """Name the IAM action that was refused, such as ``batch:SubmitJob``, as well as it is known."""
    details: Any = error.response.get("Error", {})
    said = re.search(r"perform:? \(?([a-z0-9-]+:\w+)", str(details.get("Message", "")))
    return said[1] if said else _ACTIONS.get(error.operation_name, error.operation_name)


def code_of(error: Exception) -> str:
    """Give the code with which AWS refused; nothing if it didn't answer."""
    details: Any = error.response.get("Error", {}) if isinstance(error, boto.ClientError) else {}
    return str(details.get("Code", ""))


def _sign_in(profile: str | None) -> str:
    """Say what ends trouble with credentials; a program that runs takes up what is new."""
    named = f" --profile {profile}" if profile not in (None, "default") else ""
    return (
        f"sign in again (`aws sso login{named}`, `aws login{named}`, `aws configure{named}`), or "
        "choose another AWS_PROFILE"
    )


def _refused(error: boto.ClientError, profile: str | None) -> KnotError:
    details: Any = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    call = error.operation_name
    if _PAGE.match(message):  # botocore takes what isn't JSON for what AWS says
        return _not_of_aws(message)
    if code in _CREDENTIALS:
        return CredentialsError(
            f"the AWS credentials {_CREDENTIALS[code]} ({code}); {_sign_in(profile)}"
        )
    if code in _ACCESS:
        return AccessError(
            f"these AWS credentials lack permission for {action_of(error)}: "
            f"{message or code}. Ask for the permission; `dask knot policy` prints all you "
            "need"
        )
    if code in _THROTTLED:
        return UnreachableError(
            f"AWS has throttled {call} requests for minutes ({code}): try again later"
        )
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return UnreachableError(
            f"AWS couldn't answer {call}: {message or 'it gave no reason'} ({code}): try "
            "again later"
        )
    if _QUOTA.search(code):
        return QuotaError(
            f"{call} exceeds a quota of the account: {message}. Ask for more in the AWS "
            "console under Service Quotas, or use less"
        )
    return AwsError(f"AWS refused {call}: {message or 'it gave no reason'} ({code})")
