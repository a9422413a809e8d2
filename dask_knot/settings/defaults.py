"""``knot.yaml``, which has every setting with its default: in Dask's configuration, and as a file.

The user's copy is written once and never changed, as Dask's own is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import yaml

_FILE = Path(__file__).parents[1] / "knot.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(_FILE.read_text())["knot"]


def reconfigure() -> None:
    """Put the packaged defaults into ``dask.config`` again, if something has cleared it."""
    dask.config.update_defaults({"knot": DEFAULTS})


def reconfigure_if_wiped() -> None:
    """Restore the defaults when a test or a user's reset has taken them away."""
    if dask.config.get("knot.local", None) is None:
        reconfigure()


def has_folder() -> bool:
    """Tell whether Dask's configuration has a folder: its name begins with ``~`` without a home."""
    return not dask.config.PATH.startswith("~")


def ensure_file() -> None:
    """Put the defaults, commented out, where the user can change them: ~/.config/dask/knot.yaml.

    A file that is there stays; where none can be written, none is.
    """
    if not has_folder():
        return
    dask.config.ensure_file(source=str(_FILE))
