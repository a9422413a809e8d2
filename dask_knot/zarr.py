"""Zarr data by its URL, for xarray and zarr: client and jobs each reach it as themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from dask_knot.errors import ConfigurationError
from dask_knot.extras import check_needs_no_profile
from dask_knot.run.address import (
    address_of_text,
    address_without_boto,
    configured_endpoint,
)
from dask_knot.run.folder import folder_of
from dask_knot.run.opening import open_objects
from dask_knot.settings.connection import connection


@dataclass(frozen=True, slots=True)
class DataAccess:
    """How data in S3 are asked for, by whoever opens them: what goes to jobs beside the URL.

    Attributes
    ----------
    region : str or None
        Where their bucket is.
    anonymous, requester_pays : bool
        Whether requests go without a signature; whether who asks pays for them.
    address : str
        Where the client's own requests go, for jobs, which can't find out.
    """

    region: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    address: str = ""


def zarr_store(
    url: str,
    *,
    read_only: bool = False,
    region: str | None = None,
    anonymous: bool = False,
    requester_pays: bool = False,
) -> Any:
    """Open Zarr data in a folder or in S3. Jobs are sent only the address, never the data.

    For S3, this process uses the credentials that boto3 finds (SSO, profiles, roles), and jobs use
    those of their role. Both can read and write under
    ``f"{cluster.settings.store}/{cluster.name}"``, which is deleted when an unnamed cluster closes.

    Parameters
    ----------
    url : str
        ``s3://bucket/name.zarr``, ``file:///folder/name.zarr``, or the path of a folder.
    read_only : bool
        Whether to refuse writing. Only for S3.
    region : str, optional
        The bucket's region, if it isn't the region of the jobs.
    anonymous : bool
        Whether to send requests without credentials, as for most open data.
    requester_pays : bool
        Whether your account pays for requests and transfers. Some buckets require that.

    Returns
    -------
    str or zarr.storage.ObjectStore
        A path or a store. Both xarray and zarr accept either.

    Raises
    ------
    ConfigurationError
        If the address is neither a folder nor in S3, or the installed zarr can't reach S3.
    MissingExtraError
        If the credentials are in a profile, and boto3 isn't installed.

    Examples
    --------
    >>> xr.open_zarr(zarr_store("s3://bucket/name.zarr"))  # doctest: +SKIP
    >>> zarr_store("s3://open/a.zarr", region="us-west-2", anonymous=True)  # doctest: +SKIP
    """
    folder = folder_of(url)
    if folder is not None:
        return str(folder)
    if urlsplit(url).scheme != "s3":
        raise ConfigurationError(f"{url!r} can't be Zarr data of jobs: use a folder or s3://")
    if anonymous and requester_pays:
        raise ConfigurationError(
            f"{url}: anonymous and requester_pays exclude each other: who pays must say who he is"
        )
    return _in_s3(url, read_only, DataAccess(region, anonymous, requester_pays))


def _in_s3(url: str, read_only: bool, access: DataAccess) -> Any:
    try:
        from zarr.storage import ObjectStore
    except ImportError as error:
        raise ConfigurationError(
            f"{url} needs zarr 3 (`pip install 'zarr>=3.0.8'`), thus Python 3.11 or newer"
        ) from error
    sent, options = _found(url, access)

    class InS3(ObjectStore):  # type: ignore[type-arg]  # it takes none in older versions
        """Goes to jobs as its URL."""

        #: Files are asked for their marks where the session of the cluster asks.
        is_of_session = True

        def with_read_only(self, read_only: bool = False) -> Any:
            return _in_s3(url, read_only, sent)

        def __reduce__(self) -> tuple[Any, ...]:
            return _in_s3, (url, self.read_only, sent)

    return InS3(open_objects(url, options)[1], read_only=read_only)


def _found(url: str, access: DataAccess) -> tuple[DataAccess, dict[str, Any]]:
    """Find where data are: what jobs are told of it, and obstore's options for this process."""
    told, options = "", dict[str, Any]()
    if find_spec("boto3") is not None:  # the image of jobs may not have it, nor need it
        told, options = _asked_of_boto(url, access)
    elif not access.anonymous:
        check_needs_no_profile(url, os.environ)
    if access.address and not configured_endpoint(os.environ):
        options = _merged(options, address_of_text(access.address).options())
    elif not options:
        region = {"AWS_REGION": access.region} if access.region else {}
        here = address_without_boto(urlsplit(url).netloc, {**os.environ, **region})
        told, options = ("", {}) if here is None else (here.told(), here.options())
    if access.anonymous:
        options["skip_signature"] = True
    if access.requester_pays:
        options["request_payer"] = True
    return replace(access, address=access.address or told), options


def _merged(options: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    client = {**options.get("client_options", {}), **more.get("client_options", {})}
    return {**options, **more, "client_options": client}


def _asked_of_boto(url: str, access: DataAccess) -> tuple[str, dict[str, Any]]:
    """Give boto3's address, for jobs and for here, and its credentials where there are any."""
    from dask_knot.aws.sharing import anonymous_session, shared_aws_session

    wanted = connection()
    if access.anonymous:
        session = anonymous_session(wanted.profile, access.region or wanted.region)
    else:
        session = shared_aws_session(wanted.profile, wanted.region or access.region)
    options = session.store_options(url, access.region, access.anonymous)
    options.pop("renew", None)  # for stores of ours, which wait for credentials
    return session.told(url, access.region), options
