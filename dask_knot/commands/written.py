"""The file of configuration that `up` writes, so that scripts find the stack by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import yaml

#: Dask reads all files of its folder in the order of their names: knot.yaml wins over this one.
NAME = "knot-up.yaml"
HEADER = """\
# Written by `dask knot up`, deleted by `dask knot down`: with it, KnotCluster() uses the stack.
# What knot.yaml beside it says wins. There are no credentials in here.
"""


def write(stack: str, region: str, profile: str | None, options: Mapping[str, Any]) -> Path:
    """Write which stack to use, and with which options it was made.

    Parameters
    ----------
    stack, region : str
        Where the stack is.
    profile : str or None
        The profile of ~/.aws/config by which it is reached, if one was named.
    options : mapping of str to Any
        The options that aren't the defaults.
    """
    aws: dict[str, Any] = {"stack": stack, "region": region}
    if profile is not None:
        aws["profile"] = profile
    if options:
        aws["up"] = dict(options)
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    knot = {"knot": {"engine": "aws", "aws": aws}}
    path.write_text(HEADER + yaml.safe_dump(knot, sort_keys=False))
    return path


def remove(stack: str, region: str) -> Path | None:
    """Delete the file if it is about this stack; return what was deleted."""
    path = _path()
    if not path.is_file():
        return None
    aws = ((yaml.safe_load(path.read_text()) or {}).get("knot") or {}).get("aws") or {}
    if (aws.get("stack"), aws.get("region")) != (stack, region):
        return None
    path.unlink()
    return path


def _path() -> Path:
    # Looked up each time: DASK_CONFIG may have changed, and tests change it.
    return Path(dask.config.PATH) / NAME
