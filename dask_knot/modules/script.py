"""The modules that a script, or the cells of a notebook, mention."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dask_knot.modules import mentions
from dask_knot.run.scripts import SCRIPTS


def mentioned_by_script(modules: Mapping[str, Any]) -> set[str]:
    """Name the top modules that what runs here may import, whoever has imported them already."""
    scripts = (modules.get(name) for name in SCRIPTS)
    return {name for script in scripts if script is not None for name in _mentioned(script)}


def _mentioned(script: Any) -> set[str]:
    held = dict(vars(script))
    source = _source(held)
    if source is not None:
        return mentions.modules(mentions.decoded(source))
    # In a notebook or at a prompt; what was typed there is in `In`, if it is IPython's.
    cells = held.get("In")
    typed = "\n".join(map(str, cells)) if isinstance(cells, list) else ""
    return mentions.modules(typed) | mentions.modules_of_code(list(held.values()))


def _source(held: dict[str, Any]) -> bytes | None:
    file, loader = held.get("__file__"), held.get("__loader__")
    if not isinstance(file, str):
        return None
    try:
        return Path(file).read_bytes() if os.path.exists(file) else loader.get_data(file)  # type: ignore[union-attr]
    except Exception:  # an archive, or what is none, has its own ways
        return None
