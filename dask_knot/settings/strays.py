"""Settings that Dask's configuration has in a place where nobody would read them."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import dask

from dask_knot.errors import ConfigurationError

logger = logging.getLogger(__name__)

#: What begins the variables that Dask reads as settings of `knot`, and what people write.
_RIGHT, _WRONG = "DASK_KNOT__", "DASK_KNOT_"
_SAID: set[str] = set()


def check_strays(known: Collection[str]) -> None:
    """Warn once of settings that stand beside ``knot:``, and of variables with one ``_``.

    Raises
    ------
    ConfigurationError
        If a file says ``knot: something``, which would hide every setting of it.
    """
    for path, said in dask.config.collect_yaml(dask.config.paths, return_paths=True):
        _check_knot(str(path), said)
        for line in _in_file(str(path), said, known):
            _say(line)
    for line in _in_variables(os.environ, known):
        _say(line)


def _say(line: str) -> None:
    if line not in _SAID:
        _SAID.add(line)
        logger.warning(line)


def _check_knot(path: str, said: Mapping[str, Any]) -> None:
    knot = said.get("knot")
    if knot is not None and not isinstance(knot, Mapping):
        hint = f"knot:\n    engine: {knot}" if isinstance(knot, str) else "knot:\n    jobs: 8"
        raise ConfigurationError(
            f"{path} says `knot: {knot}`, which isn't a mapping of settings. Put settings "
            f"below it, indented:\n  {hint}"
        )


def _in_file(path: str, said: Mapping[str, Any], known: Collection[str]) -> Iterator[str]:
    """Name settings at the top of a file that is ours; another file may mean something else."""
    if not Path(path).name.startswith("knot"):
        return
    for name in said:
        if str(name).replace("-", "_") in known:
            yield (
                f"{path} has the setting {name!r} outside `knot:`, where nothing reads it: "
                "indent it below `knot:`"
            )


def _in_variables(environ: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    for name in environ:
        if name.startswith(_WRONG) and not name.startswith(_RIGHT):
            setting = name.removeprefix(_WRONG).lower()
            if setting in known:
                yield (
                    f"the variable {name} is no setting: write {_RIGHT}{setting.upper()}, with two "
                    "underscores"
                )
