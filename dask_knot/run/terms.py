"""The terms of a bucket: headers that it wants with whatever is written to it. Pure.

Nobody can ask a bucket for its policy without permissions of his own. What it refuses says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

#: How S3 says that a bucket with Object Lock takes nothing without a checksum.
_CHECKSUM = ("Content-MD5 OR x-amz-checksum-", "Content-MD5 HTTP header is required")
#: Why a permission may be missing that no header brings.
_OTHERS_DENY = (
    "no identity-based policy",
    "service control policy",
    "resource control policy",
    "VPC endpoint policy",
    "permissions boundary",
    "session policy",
    "perform: kms:",
    "explicit deny in an identity-based policy",
)


class Terms:
    """What a bucket wants, as far as it is known. For several threads.

    Parameters
    ----------
    key : str
        The KMS key that objects are to have, if the bucket wants to be told one.

    Attributes
    ----------
    options : mapping of str to str
        Options of obstore's S3Store; replaced, never changed.
    """

    def __init__(self, key: str = "") -> None:
        self.options: Mapping[str, Any] = {}
        self._lock = Lock()
        kms = [{"server_side_encryption": "aws:kms", "sse_kms_key_id": key}] if key else []
        self._left: list[dict[str, Any]] = [
            *kms,
            {"server_side_encryption": "AES256"},
            {"server_side_encryption": "aws:kms"},
        ]

    def learn(self, refusal: str, tried: Mapping[str, Any]) -> bool:
        """Learn from what S3 said when something could not be written.

        Parameters
        ----------
        refusal : str
            What it said.
        tried : mapping
            The options with which it was written.

        Returns
        -------
        bool
            Whether there is something else to be tried.
        """
        with self._lock:
            if tried is not self.options:
                return True  # another thread has learnt
            if any(text in refusal for text in _CHECKSUM):
                if "checksum_algorithm" in tried:
                    return False
                self.options = {**tried, "checksum_algorithm": "SHA256"}
                return True
            if "<Code>AccessDenied<" not in refusal or any(one in refusal for one in _OTHERS_DENY):
                return False
            checksum = {name: v for name, v in tried.items() if name == "checksum_algorithm"}
            if self._left:
                self.options = {**checksum, **self._left.pop(0)}
                return True
            if self.options != checksum:  # for each that there were, there is a store
                self.options = checksum
            return False
