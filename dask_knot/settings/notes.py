"""The options of an image that `dask knot image` has noted, for clusters and for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import yaml

from dask_knot.settings.defaults import has_folder

#: Dask reads all files of its folder in the order of their names: knot.yaml wins over this.
FILE = "knot-image.yaml"


def notes_path() -> Path:
    """Give the path of the file, which need not be there.

    Raises
    ------
    FileNotFoundError
        If there is no home folder for Dask's configuration.
    """
    # Looked up each time: DASK_CONFIG may have changed, and tests change it.
    if not has_folder():
        raise FileNotFoundError("there is no home folder for Dask's configuration")
    return Path(dask.config.PATH) / FILE


def read_notes() -> dict[str, Any]:
    """Read what was noted; nothing if there is no file, or it isn't one of ours."""
    try:
        whole = yaml.safe_load(notes_path().read_text(encoding="utf-8"))
        found = whole["knot"]["build"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def is_noted_source(source: str) -> bool:
    """Tell a source that an older release noted by itself from one that the user has configured.

    It made each later script look for the image of that source, for good.
    """
    return read_notes().get("source") == source
