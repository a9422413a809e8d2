"""Zarr data by its URL, for xarray and zarr: client and jobs each reach it as themselves."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from zarr.storage import ObjectStore

from dask_knot.store.store import open_objects


class ZarrStore(ObjectStore[Any]):
    """A Zarr store in a folder or in S3, which is sent to jobs as its URL and nothing else.

    In S3 this process has the credentials that boto3 finds (SSO, profiles, roles), and a job those
    of its role. Both may use what is under ``f"{cluster.settings.store}/{cluster.name}"``, which is
    deleted when an unnamed cluster is closed.

    Parameters
    ----------
    url : str
        ``s3://bucket/name.zarr``, ``file:///folder/name.zarr``, or the path of a folder.
    read_only : bool
        Whether nothing may be written.

    Examples
    --------
    >>> xr.open_zarr(ZarrStore("s3://bucket/name.zarr"))  # doctest: +SKIP
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url, objects = open_objects(url, _options(url))
        super().__init__(objects, read_only=read_only)

    def with_read_only(self, read_only: bool = False) -> ZarrStore:
        """Give the same store with another `read_only`."""
        return ZarrStore(self.url, read_only=read_only)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (self.url, self.read_only)


def _open(url: str, read_only: bool) -> ZarrStore:
    return ZarrStore(url, read_only=read_only)


def _options(url: str) -> dict[str, Any]:
    """Give boto3's credentials where it is; the image of jobs may not have it, nor need it."""
    if urlsplit(url).scheme != "s3" or find_spec("boto3") is None:
        return {}
    import dask

    from dask_knot.aws.session import open_session

    wanted = dask.config.get("knot.aws", {})
    return open_session(wanted.get("profile"), wanted.get("region")).store_options()
