"""What is special about a store that is a folder: it can be away."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dask_knot.errors import ConfigurationError, StoreError


def expanded(path: str | os.PathLike[str]) -> Path:
    """Replace a ``~`` in front by the home folder, and give the whole path.

    Raises
    ------
    ConfigurationError
        If there is no home folder.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{os.fspath(path)!r} can't be found, as there is no home folder here: set HOME, or "
            "name the whole path"
        ) from error


def folder_of(url: str) -> Path:
    """Give the folder that a ``file://`` URL names."""
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if os.name == "nt" else path)


def check_is_there(folder: Path, what: str = "") -> None:
    """Tell a folder that is away from objects that are missing.

    Raises
    ------
    StoreError
        If it isn't there; `what` says what it was needed for.
    """
    if not folder.is_dir():
        raise StoreError(
            f"the folder of the store, {folder}, isn't there{what}: mount it again, or put it back"
        )
