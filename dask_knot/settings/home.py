"""The folders of a user: there may be none, and none that can be written."""

from __future__ import annotations

import os
from pathlib import Path


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
    if os.path.isabs(named):  # others shall be ignored
        return Path(named)
    try:
        return Path.home().joinpath(*below)
    except RuntimeError:  # no HOME, and a user that the system doesn't know, as in containers
        return None
