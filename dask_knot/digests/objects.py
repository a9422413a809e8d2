"""Marks of objects in S3: their ETags, which are others after each change of what is in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

from dask_knot.digests.refusal import UndigestibleError

#: Objects of one folder that are asked for one by one, before all of it is listed: a list of a
#: thousand costs as much as one of them.
ONE_BY_ONE = 4

_MAGIC = re.compile(r"[*?\[]")

#: Name, ETag and size of an object.
ObjectVersion = tuple[str, str, int]


class ObjectMarks:
    """Asks S3 for what tells objects from their other versions, as whoever uses the client.

    Parameters
    ----------
    most : int
        Objects below a prefix; of more nothing is said.
    open_client : callable, optional
        Gives boto3's client of S3.
    """

    def __init__(self, most: int, open_client: Callable[[], Any] | None = None) -> None:
        self._most = most
        self._open_client = open_client or _open_client
        self._client: Any = None
        self._outage = ""
        self._asked: Counter[tuple[str, str]] = Counter()
        self._listed: dict[tuple[str, str], dict[str, ObjectVersion] | None] = {}

    def close(self) -> None:
        """Forget what S3 has said, and close the connection."""
        self._asked.clear()
        self._listed.clear()
        self._outage = ""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def mark(self, bucket: str, name: str) -> bytes | None:
        """Give the mark of an object, of all objects below a folder, or of those of a pattern.

        Raises
        ------
        UndigestibleError
            If S3 can't be asked, or there are too many.
        """
        reason = self._outage  # it is waited for once, not once for each of ten thousand names
        if not reason:
            try:
                found = self._look(bucket, name)
            except UndigestibleError:
                raise
            except Exception as error:  # of botocore and of ours: the work runs all the same
                reason = str(error) or type(error).__name__
                self._outage = "" if _status(error) else reason
        if reason:
            raise UndigestibleError(f"s3://{bucket}/{name} can't be checked: {reason}")
        if not found:
            return None
        return blake2b(repr(("objects", sorted(found))).encode(), digest_size=16).digest()

    def _look(self, bucket: str, name: str) -> list[ObjectVersion]:
        if not bucket:
            return []
        magic = _MAGIC.search(name)
        folder = name if not name or name.endswith("/") else f"{name}/"
        if magic is None:
            one = None if folder == name else self._one(bucket, name)
            return [one] if one else self._bounded(bucket, folder)
        matches = re.compile(_pattern(name)).fullmatch
        # What was meant as it stands may have such letters, too.
        every = self._bounded(bucket, name[: magic.start()])
        return [one for one in every if matches(one[0]) or f"{one[0]}/".startswith(folder)]

    def _one(self, bucket: str, name: str) -> ObjectVersion | None:
        parent = name.rpartition("/")[0] + "/" if "/" in name else ""
        place = bucket, parent
        self._asked[place] += 1
        if self._asked[place] > ONE_BY_ONE and place not in self._listed:
            every = self._list(bucket, parent, "/")
            found = {one[0]: one for one, _ in zip(every, range(self._most), strict=False)}
            self._listed[place] = found if len(found) < self._most else None
        listed = self._listed.get(place)
        return self._head(bucket, name) if listed is None else listed.get(name)

    def _head(self, bucket: str, name: str) -> ObjectVersion | None:
        try:
            found = self._connected().head_object(Bucket=bucket, Key=name)
        except Exception as error:
            if _status(error) == 404:
                return None
            raise
        return name, found["ETag"], found["ContentLength"]

    def _bounded(self, bucket: str, prefix: str) -> list[ObjectVersion]:
        found: list[ObjectVersion] = []
        for one in self._list(bucket, prefix):
            if len(found) == self._most:
                raise UndigestibleError(
                    f"s3://{bucket}/{prefix} holds more than {self._most:,} objects: too "
                    "many to check for every graph. Name only those that are read"
                )
            found.append(one)
        return found

    def _list(self, bucket: str, prefix: str, delimiter: str = "") -> Iterator[ObjectVersion]:
        pages = self._connected().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter):
            for one in page.get("Contents", ()):
                yield one["Key"], one["ETag"], one["Size"]

    def _connected(self) -> Any:
        if self._client is None:
            self._client = self._open_client()
        return self._client


def _open_client() -> Any:
    """Open S3 as the cluster's session does; boto3 finds buckets of other regions by itself."""
    # Costs a quarter of a second, which most graphs have no need of.
    from dask_knot.aws.sharing import shared_aws_session
    from dask_knot.settings.connection import connection

    wanted = connection()
    session = shared_aws_session(wanted.profile, wanted.region)
    return session.client_in(session.region, "s3")


def _status(error: Exception) -> int:
    answer = getattr(error, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _pattern(name: str) -> str:
    """Make a regular expression of a pattern: ``*`` stays in its folder, ``**`` doesn't.

    What is below a folder that matches is part of it.
    """
    return "".join(_translated(token) for token in _TOKEN.findall(name)) + "(/.*)?"


def _translated(token: str) -> str:
    if token in _WILD:
        return _WILD[token]
    if len(token) > 1:
        return "[^" + token[2:] if token[1] == "!" else token
    return re.escape(token)


_TOKEN = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_WILD = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
