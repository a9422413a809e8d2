"""Opens obstore's stores: a folder, memory or S3, by URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from dask_knot.errors import ConfigurationError, StoreError, StoreGoneError
from dask_knot.run.address import address_without_boto, certificates_in
from dask_knot.run.causes import plain
from dask_knot.run.folder import folder_of

#: A network that is gone for a minute loses nothing: obstore's own ten retries are over in seconds.
RETRIES = {
    "max_retries": 1000,
    "retry_timeout": timedelta(minutes=2),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2.0,
    },
}
#: What may stand still for so long: to connect, to answer, and between two pieces of an answer. A
#: request that goes on has no end of its own; obstore's is 30 s, which a slow line needs for 4 MiB.
#: While something is sent, the second one counts until it has arrived: see `uplink`.
CONNECT, STILL = timedelta(seconds=10), timedelta(seconds=60)
TIMES = {"connect_timeout": CONNECT, "read_timeout": STILL, "timeout": timedelta(days=1)}


def open_objects(url: str, options: Mapping[str, Any]) -> tuple[str, Any]:
    """Open obstore's store at a URL; give the whole URL, too.

    Raises
    ------
    ConfigurationError
        If it isn't the URL of a kind of store that there is.
    StoreError
        If it can't be opened.
    """
    folder = folder_of(url)
    if folder is not None and "://" not in url:
        url = folder.as_uri()
    scheme = urlsplit(url).scheme
    if scheme not in _OPENERS:
        kinds = ", ".join(f"{kind}://" for kind in _OPENERS)
        raise ConfigurationError(f"{url!r} is not a store: use a folder or one of {kinds}")
    url = url.rstrip("/") if scheme != "memory" else url
    try:
        options = completed(url, options)
        return url, _OPENERS[scheme](url if folder is None else folder, **options)
    except (BaseError, OSError, ValueError) as error:
        raise StoreError(f"the store {url} can't be opened: {plain(str(error))}") from error


def still_of(options: Mapping[str, Any]) -> timedelta:
    """Tell how long nothing may be heard of a request, by what a store was opened with."""
    found: timedelta = options.get("client_options", {}).get("read_timeout", STILL)
    return found


def _open_folder(folder: Path, parents: bool = False) -> LocalStore:
    # Not its parents: they may be misspelt, or on a disk that isn't mounted.
    missing = [parent for parent in folder.parents if not parent.exists()]
    if missing and not parents:
        raise FileNotFoundError(f"there is no folder {missing[-1]}: make it, or mend the path")
    folder.mkdir(parents=parents, exist_ok=True)
    return LocalStore(folder, automatic_cleanup=True)  # of folders that became empty


def completed(url: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add to the options of a store what nobody has said: in S3, where its bucket is."""
    if not url.startswith("s3://"):
        return options
    here = None if "endpoint" in options else address_without_boto(urlsplit(url).netloc, os.environ)
    found = {} if here is None else here.options()
    client = {**_trusted(os.environ), **found.get("client_options", {})}
    return {**found, **options, "client_options": {**client, **options.get("client_options", {})}}


def _open_s3(url: str, kms_key: str = "", **options: Any) -> S3Store:
    parts = urlsplit(url)  # the key is for what a bucket may want: see `Sender`
    if not parts.netloc:
        raise ValueError(f"{url} names no bucket")
    client = {**TIMES, **options.pop("client_options", {})}
    given = {"retry_config": RETRIES, "client_options": client, **options}
    return S3Store(parts.netloc, prefix=unquote(parts.path).strip("/") or None, **given)


def _trusted(environ: Mapping[str, str]) -> dict[str, bytes]:
    """Read the certificates that a job was told to trust, as all SDKs of AWS are told."""
    named = environ.get("AWS_CA_BUNDLE")
    if not named:
        return {}
    try:
        return {"root_certificate": certificates_in(_read(named)).encode()}
    except OSError as error:
        raise ConfigurationError(
            f"AWS_CA_BUNDLE names {named}, which can't be read: {error}. A job finds there what "
            "its image holds"
        ) from error


def _read(file: str) -> str:
    return Path(file).read_text("utf-8", "replace")


def _open_memory(url: str) -> MemoryStore:
    return MemoryStore()


_OPENERS: dict[str, Callable[..., Any]] = {
    "file": _open_folder,
    "s3": _open_s3,
    "memory": _open_memory,
}


def check_not_gone(url: str, error: Exception) -> None:
    """Tell a bucket that isn't there any more from trouble that passes.

    Raises
    ------
    StoreGoneError
        If an error of obstore's says that the bucket of the store at `url` is gone.
    """
    if "NoSuchBucket" in str(error):
        raise StoreGoneError(
            f"the bucket of the store {url} is gone, with all that was in it: somebody has deleted "
            "it, perhaps with its stack (`dask knot down`). Close this cluster, and open another "
            "one where there is a store (`dask knot up`, store=...)"
        ) from error
