"""Zarr data by its URL, for xarray and zarr: client and jobs each reach it as themselves."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from dask_knot.errors import ConfigurationError
from dask_knot.run.folder import folder_of
from dask_knot.run.opening import open_objects
from dask_knot.settings.connection import connection


def zarr_store(url: str, *, read_only: bool = False) -> Any:
    """Open Zarr data in a folder or in S3; what is sent to jobs is the URL and nothing else.

    In S3 this process has the credentials that boto3 finds (SSO, profiles, roles), and a job those
    of its role. Both may use what is under ``f"{cluster.settings.store}/{cluster.name}"``, which is
    deleted when an unnamed cluster is closed.

    Parameters
    ----------
    url : str
        ``s3://bucket/name.zarr``, ``file:///folder/name.zarr``, or the path of a folder.
    read_only : bool
        Whether nothing may be written, in S3.

    Returns
    -------
    str or zarr.storage.ObjectStore
        A path, or a store: xarray and zarr take both.

    Raises
    ------
    ConfigurationError
        If it is neither a folder nor in S3, or S3 can't be reached with the zarr that is here.

    Examples
    --------
    >>> xr.open_zarr(zarr_store("s3://bucket/name.zarr"))  # doctest: +SKIP
    """
    folder = folder_of(url)
    if folder is not None:
        return str(folder)
    if urlsplit(url).scheme != "s3":
        raise ConfigurationError(f"{url!r} can't be Zarr data of jobs: use a folder or s3://")
    return _in_s3(url, read_only)


def _in_s3(url: str, read_only: bool) -> Any:
    try:
        from zarr.storage import ObjectStore
    except ImportError as error:
        raise ConfigurationError(
            f"{url} needs zarr 3 (`pip install 'zarr>=3.0.8'`), thus Python 3.11 or newer"
        ) from error

    class InS3(ObjectStore):  # type: ignore[type-arg]  # it takes none in older versions
        """Goes to jobs as its URL."""

        def with_read_only(self, read_only: bool = False) -> Any:
            return _in_s3(url, read_only)

        def __reduce__(self) -> tuple[Any, ...]:
            return _in_s3, (url, self.read_only)

    return InS3(open_objects(url, _options())[1], read_only=read_only)


def _options() -> dict[str, Any]:
    """Give boto3's credentials where it is; the image of jobs may not have it, nor need it."""
    if find_spec("boto3") is None:
        return {}
    from dask_knot.aws.session import open_aws_session

    wanted = connection()
    options = open_aws_session(wanted.profile, wanted.region).store_options()
    del options["renew"]  # for stores of ours, which wait for credentials
    return options
