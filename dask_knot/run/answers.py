"""What S3 answers instead of doing what it was asked, by its codes: what it means, and what to do.

Pure: texts in, texts out. What the network, or a proxy, does instead is in `causes`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from enum import Enum


class Outlook(Enum):
    """What ends it: whether a moment later the answer may be another one."""

    CREDENTIALS = "sign in again"
    REFUSAL = "somebody must change something"
    BUSY = "try again"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer means.

    Attributes
    ----------
    outlook : Outlook
        What ends it, in one word.
    meaning, cure : str
        What happened; what ends it.
    """

    outlook: Outlook
    meaning: str
    cure: str


_SIGN_IN = "Sign in again: `aws sso login`, or `aws configure`"
_CLOCK = (
    "Set the clock of this machine (`timedatectl set-ntp true`): it must be right to 15 minutes"
)
_KEY = "Enable the KMS key of the bucket, or use a bucket with another one"
_REGION = (
    "Name the region of the bucket (`aws s3api head-bucket --bucket NAME` tells it): "
    "zarr_store(region=...), knot.aws.region or AWS_REGION"
)
_CHECKSUM = (
    "It was sent with one, too, which was not enough: look at the bucket's Object Lock, and at "
    "proxies that change requests"
)


def _credentials(meaning: str, cure: str = _SIGN_IN) -> Meaning:
    return Meaning(Outlook.CREDENTIALS, f"the credentials {meaning}", cure)


def _refusal(meaning: str, cure: str) -> Meaning:
    return Meaning(Outlook.REFUSAL, meaning, cure)


_EXPIRED = _credentials("have expired")
_UNKNOWN = _credentials("are unknown to this S3")
_NO_KEY = _refusal("the KMS key of the bucket can't be used", _KEY)
_ELSEWHERE = _refusal("the bucket is in another region", _REGION)
_BUSY = Meaning(Outlook.BUSY, "S3 is busy", "Try again later: it is asked more slowly meanwhile")

ANSWERS = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidAccessKeyId": _UNKNOWN,
    "InvalidToken": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
    "SignatureDoesNotMatch": _credentials(
        "have a wrong secret key, or a proxy has changed the request"
    ),
    "RequestTimeTooSkewed": _credentials(
        "can't be used while this machine's clock is wrong", _CLOCK
    ),
    "KMS.DisabledException": _refusal("the KMS key of the bucket is disabled", _KEY),
    "KMS.KMSInvalidStateException": _refusal(
        "the KMS key of the bucket is disabled, or about to be deleted", _KEY
    ),
    "KMS.InvalidStateException": _NO_KEY,
    "KMS.KeyUnavailableException": _NO_KEY,
    "KMS.NotFoundException": _refusal("the KMS key of the bucket is gone", _KEY),
    "KMS.InvalidKeyUsageException": _NO_KEY,
    "KMS.ThrottlingException": _BUSY,
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": Meaning(
        Outlook.BUSY, "the bucket is new, and its name not known everywhere", "Try again in an hour"
    ),
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "InvalidBucketName": _refusal("no bucket can have this name", "Check the name of the store"),
    "AllAccessDisabled": _refusal("AWS has disabled the bucket", "Ask AWS's support"),
    "AccountProblem": _refusal(
        "AWS doesn't serve the account that the bucket belongs to",
        "Look into the account's mail and bills: AWS says there what it wants",
    ),
    "NotSignedUp": _refusal(
        "the account has not signed up for S3", "Finish signing up in the AWS console"
    ),
    "InvalidPayer": _refusal(
        "AWS doesn't serve the account that would pay", "Look into the account's mail and bills"
    ),
    "MethodNotAllowed": _refusal("this S3 doesn't do that", "Use another bucket or endpoint"),
    "NotImplemented": _refusal(
        "this S3 lacks what a store needs", "Use one that knows conditional writes"
    ),
    "InvalidObjectState": _refusal(
        "the object is in an archive (Glacier)", "Restore it, and keep runs out of archives"
    ),
    "QuotaExceeded": _refusal("the quota of the store is used up", "Make room, or ask for more"),
    "XMinioStorageFull": _refusal("the disks of the store are full", "Make room"),
    "SlowDown": _BUSY,
    "ConditionalRequestConflict": Meaning(
        Outlook.BUSY, "others write the same object at this moment", "Try again"
    ),
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": Meaning(
        Outlook.BUSY, "the line stood still while something was sent", "Check the network"
    ),
}
#: Of a permission that is missing, by what S3 says of it: which rule it is.
_DENIALS = (
    (
        "VPC endpoint policy",
        "the policy of the VPC's endpoint for S3 refuses it",
        "Allow the bucket there, or reach it by another way",
    ),
    (
        "service control policy",
        "a rule of the organization refuses it",
        "Ask its administrators",
    ),
    (
        "resource control policy",
        "a rule of the organization refuses it",
        "Ask its administrators",
    ),
    (
        "kms:",
        "the KMS key of the bucket may not be used",
        "Ask for the permission; the policy of the key must allow it, too",
    ),
    (
        "resource-based policy",
        "the bucket's own policy refuses it",
        "Read the policy of the bucket: it may want other headers, addresses or encryption "
        "(AES256 and aws:kms were tried)",
    ),
)
_REDIRECTED = "Received redirect without LOCATION"
#: To a HEAD, S3 answers without a word: so it does when credentials have ended.
_WORDLESS = re.compile(r"performing HEAD .*400 Bad Request:\s*($|\n)")


def code_in(text: str) -> str:
    """Give the code of S3's answer, or nothing."""
    found = re.search(r"<Code>\s*([\w.]+)\s*</Code>", text)
    return found[1] if found else ""


def message_in(text: str) -> str:
    """Give the sentence of S3's answer, or nothing."""
    found = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return html.unescape(found[1]).strip() if found else ""


def meaning_of(text: str) -> Meaning | None:
    """Say what an answer of S3 means.

    Parameters
    ----------
    text : str
        An error of obstore's, with what S3 said.

    Returns
    -------
    Meaning or None
        None if it is none of S3's, or one that isn't known.
    """
    code = code_in(text)
    if _REDIRECTED in text:
        return _ELSEWHERE
    if _WORDLESS.search(text):
        return _credentials("have expired, or the bucket is in another region: S3 doesn't say it")
    if code == "InvalidRequest" and "checksum" in text:
        return _refusal("the bucket wants a checksum", _CHECKSUM)
    if code == "AccessDenied":
        for words, meaning, cure in _DENIALS:
            if words in text:
                return _refusal(meaning, cure)
    return ANSWERS.get(code)
