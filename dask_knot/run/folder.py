"""A store that is a folder: its path by URL, and what only folders do, such as being away."""

from __future__ import annotations

import os
import stat
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
            f"{os.fspath(path)!r} can't be found, because there is no home folder here: set "
            "HOME, or give the full path"
        ) from error


def folder_of(place: str | os.PathLike[str]) -> Path | None:
    """Give the folder that a path or a ``file://`` URL names; None if a URL is of another kind.

    Raises
    ------
    ConfigurationError
        If it is a path that begins with a ``~``, and there is no home folder.
    """
    url = os.fspath(place)
    if "://" not in url:  # with a drive of Windows, "C:" would be a scheme
        return expanded(url)
    return Path(_path_of(url, os.name == "nt")) if urlsplit(url).scheme == "file" else None


def _path_of(url: str, is_windows: bool) -> str:
    """Undo `Path.as_uri`, which writes ``C:\\a b`` as ``file:///C:/a%20b``."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if not is_windows:
        return path
    return f"//{parts.netloc}{path}" if parts.netloc else path.removeprefix("/")


def check_is_there(folder: Path, what: str = "") -> None:
    """Tell a folder that is away from objects that are missing.

    Raises
    ------
    StoreError
        If it isn't there; `what` says what it was needed for.
    """
    if not is_there(folder, what):
        raise StoreError(
            f"the folder of the store, {folder}, isn't there{what}: mount it again, or put it back"
        )


def is_there(folder: Path, what: str = "") -> bool:
    """Tell whether there is such a folder.

    Raises
    ------
    StoreError
        If that can't be looked at; `what` says what it was needed for.
    """
    try:
        return not is_gone(folder)
    except OSError as error:  # such as of a network disk that has lost it
        raise StoreError(
            f"the folder of the store, {folder}, can't be reached{what}: {error.strerror}. Check "
            "that its disk is there, and that you may look into it"
        ) from error


def is_gone(folder: Path) -> bool:
    """Tell whether there is no such folder.

    Raises
    ------
    OSError
        If the system can't tell.
    """
    try:
        return not stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
