"""The folders of a user: there may be none, and none that can be written."""

from __future__ import annotations

import os
from pathlib import Path

from dask_knot.errors import ConfigurationError


def home_folder(variable: str, *below: str) -> Path | None:
    """Give the folder that a variable names, or the usual one in the user's home; None if none is.

    Parameters
    ----------
    variable : str
        Such as ``XDG_STATE_HOME``.
    *below : str
        Where it is in the home folder otherwise.
    """
    named = os.environ.get(variable, "")
    if os.path.isabs(named):  # others are ignored
        return Path(named)
    try:
        return Path.home().joinpath(*below)
    except RuntimeError:  # no HOME, and a user that the system doesn't know, as in containers
        return None


def home_store() -> str:
    """Give the URL of the folder where named runs are kept when nobody names a store.

    Raises
    ------
    ConfigurationError
        If there is no home folder.
    """
    home = home_folder("XDG_DATA_HOME", ".local", "share")
    if home is None:
        raise ConfigurationError(
            "a named run needs a store that stays, and there is no home folder here: name one, "
            "KnotCluster(store=...)"
        )
    return (home / "dask_knot").as_uri()
