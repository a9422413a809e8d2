"""Places that readers name in their own ways, as the texts that marks are taken of."""

from __future__ import annotations

import os
from typing import Any

from dask_knot.digests.refusal import UndigestibleError

#: What file systems of fsspec and arrow call the disks that are here, and S3.
HERE = frozenset({"file", "local"})
S3 = frozenset({"s3", "s3a"})


def place(text: str | os.PathLike[Any]) -> str:
    """Give what a reader will open; it must be there, or nothing is known of it.

    Raises
    ------
    UndigestibleError
        If it isn't.
    """
    path = os.fsdecode(text)
    if "://" not in path and not os.path.exists(os.path.expanduser(path)):
        raise UndigestibleError(f"{path} is read, but isn't here")
    return path


def refuse(value: object, what: str) -> UndigestibleError:
    """Make the refusal of an object that does something which can't be seen."""
    return UndigestibleError(f"{type(value).__name__} {what}")


def protocol(system: Any) -> str:
    """Name the kind of a file system of fsspec."""
    given = getattr(system, "protocol", "")
    return str(given if isinstance(given, str) else next(iter(given), ""))


def is_local(system: Any) -> bool:
    """Tell whether a file system of fsspec, or what it makes asynchronous, is on disks here."""
    name = type(getattr(system, "sync_fs", system)).__name__
    return protocol(system) in HERE and name == "LocalFileSystem"


def url_of_fsspec(system: Any, path: str) -> str:
    """Name a file in a file system of fsspec.

    Raises
    ------
    UndigestibleError
        If it is neither here nor in S3.
    """
    if is_local(system):
        return place(path)
    system = getattr(system, "sync_fs", system)
    if protocol(system) in S3 and is_ours(_endpoint(system)):
        return "s3://" + path.removeprefix("s3://")
    raise UndigestibleError(
        f"what is in a file system of its own ({protocol(system)}: {path}) can't be seen from here"
    )


def is_ours(endpoint: object) -> bool:
    """Tell whether an address of S3 is the one that marks are asked of."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return not endpoint or str(endpoint).rstrip("/") in {
        os.environ.get(name, "").rstrip("/") for name in names
    }


def _endpoint(system: Any) -> object:
    options = getattr(system, "client_kwargs", None) or {}
    return options.get("endpoint_url") or vars(system).get("endpoint_url")


def url_of_arrow(system: Any, path: str) -> str:
    """Name a file in a file system of arrow.

    Raises
    ------
    UndigestibleError
        If it is neither here nor in S3.
    """
    kind = type(system).__name__
    if kind == "LocalFileSystem":
        return path
    if kind == "S3FileSystem" and is_ours(_endpoint_of_arrow(system)):
        return f"s3://{path}" if path else kind
    if kind == "SubTreeFileSystem":
        return url_of_arrow(system.base_fs, system.base_path + path)
    inner = getattr(getattr(system, "handler", None), "fs", None)
    if inner is not None and path:
        return url_of_fsspec(inner, path)
    raise UndigestibleError(f"what is in an Arrow file system ({kind}) can't be seen from here")


def _endpoint_of_arrow(system: Any) -> str:
    # How it was made is in its pickle only: the arguments of the class, in one dictionary.
    options = system.__reduce__()[1][0]
    endpoint = options["endpoint_override"]
    return endpoint and (endpoint if "://" in endpoint else f"{options['scheme']}://{endpoint}")
