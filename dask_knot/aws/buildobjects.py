"""The objects of builds in the stack's bucket: what an image is made of, and who builds it.

They lie in a folder that is named by the image's tag, each build's under a name of its own: two
builds of one tag take nothing away from each other.
"""

from __future__ import annotations

import io
import uuid
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from dask_knot.aws import names
from dask_knot.aws.session import REFUSALS, code_of, translate, translated
from dask_knot.environment.problems import Report
from dask_knot.extras import extra

with extra():
    from boto3.s3.transfer import TransferConfig

#: Uploads from so many bytes on tell how far they are.
LARGE = 10**7
#: Few parts at once: over a slow line, many would each stand still for too long.
CAREFULLY = TransferConfig(max_concurrency=2)
#: No build waits and runs for so long.
OLD = timedelta(days=1)
#: How the names of the objects of one build end.
CONTEXT, SECRETS = ".tar", ".secrets"


class Workshop(Protocol):
    """What a build needs to know of the stack."""

    @property
    def bucket(self) -> str:
        """The bucket, where builds find what they build."""

    @property
    def prefix(self) -> str:
        """The prefix of its objects."""

    @property
    def builder(self) -> str | None:
        """The project that builds; None if the stack has none."""


class BuildObjects:
    """The objects of one build.

    Parameters
    ----------
    s3 : Any
        boto3's client.
    place : Workshop
        The stack.
    tag : str
        The image's.
    report : callable
        Told how much of a large upload is done.
    """

    def __init__(self, s3: Any, place: Workshop, tag: str, report: Report) -> None:
        self._s3, self._bucket, self._report = s3, place.bucket, report
        folder = f"{place.prefix}/{names.BUILDS}/{tag}"
        self._all = f"{place.prefix}/{names.BUILDS}/"
        self._source, self._note = f"{folder}/{uuid.uuid4().hex}", f"{folder}/build"

    @property
    def source(self) -> str:
        """The bucket, and the beginning of the names of what this build needs."""
        return f"{self._bucket}/{self._source}"

    def noted(self) -> str | None:
        """Read which build makes this tag, or did."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=self._note)
        except REFUSALS as error:
            if code_of(error) in ("NoSuchKey", "404"):
                return None
            raise translate(error) from error
        return str(found["Body"].read().decode())

    def note(self, build: str) -> None:
        """Write which build makes this tag."""
        with translated():
            self._s3.put_object(Bucket=self._bucket, Key=self._note, Body=build.encode())

    def upload(self, ending: str, data: bytes) -> None:
        """Upload what the build needs, in parts if it is large."""
        done = tenth = 0

        def tell(count: int) -> None:
            nonlocal done, tenth
            done += count
            if len(data) >= LARGE and 10 * done // len(data) > tenth:
                tenth = 10 * done // len(data)
                self._report(f"uploading: {done / 1e6:.0f} of {len(data) / 1e6:.0f} MB")

        key = f"{self._source}{ending}"
        with translated():
            self._s3.upload_fileobj(
                io.BytesIO(data), self._bucket, key, Callback=tell, Config=CAREFULLY
            )

    def sweep(self) -> None:
        """Delete what clients that were killed have left, secrets among it.

        The stack's own bucket lets it expire; one that was there already need not. Nobody needs to
        be able to do it.
        """
        until = datetime.now(timezone.utc) - OLD
        with suppress(*REFUSALS):
            found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._all)
            for one in found.get("Contents", ()):
                if one["LastModified"] < until:
                    self._s3.delete_object(Bucket=self._bucket, Key=one["Key"])

    def delete(self) -> None:
        """Delete them all; those that are gone already are no error."""
        with translated():
            for key in (f"{self._source}{CONTEXT}", f"{self._source}{SECRETS}", self._note):
                self._s3.delete_object(Bucket=self._bucket, Key=key)
