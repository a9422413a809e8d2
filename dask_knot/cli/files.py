"""The files of configuration that `up` and `image` write, so that scripts find what they made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import yaml

from dask_knot.run.folder import expanded
from dask_knot.settings.defaults import has_folder

#: Dask reads all files of its folder in the order of their names: knot.yaml wins over these.
NAME, IMAGE_NAME = "knot-up.yaml", "knot-image.yaml"
HEADER = """\
# Written by `dask knot up`, deleted by `dask knot down`: with it, KnotCluster() uses the stack.
# What knot.yaml beside it says wins. There are no credentials in here.
"""

IMAGE_HEADER = """\
# Written by `dask knot image`: KnotCluster() and the next `dask knot image` take the same options.
# What knot.yaml beside it says wins. Delete this file to go back to the defaults.
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

    Raises
    ------
    OSError
        If it can't be written; `by_hand` says what to do then.
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


def by_hand(error: OSError, stack: str, region: str, profile: str | None) -> str:
    """Say how scripts find a stack that couldn't be written down."""
    variables = {"ENGINE": "aws", "AWS__STACK": stack, "AWS__REGION": region}
    if profile is not None:
        variables["AWS__PROFILE"] = profile
    words = " ".join(f"DASK_KNOT__{name}={value}" for name, value in variables.items())
    return (
        f"the stack is made, but it could not be written down ({error}): KnotCluster() uses it "
        f"with\n  export {words}\nor name a folder that can be written in DASK_CONFIG, and run "
        "the same again"
    )


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


def write_image(options: Mapping[str, Any]) -> Path | None:
    """Note the options that an image was built with, beside those noted before.

    Without them a cluster would look for an image of other contents, thus of another tag. A script
    is not noted as the source: the script that runs is what is read then.

    Parameters
    ----------
    options : mapping of str to Any
        Attributes of `ImageSpec`, empty ones are those that weren't given.
    """
    given = {name: _absolute(name, value) for name, value in options.items() if value}
    if str(given.get("source", "")).endswith((".py", ".pyw")):
        del given["source"]
    path = _path(IMAGE_NAME)
    if given:
        noted = yaml.safe_load(path.read_text()) if path.is_file() else None
        build = {**((noted or {}).get("knot") or {}).get("build", {}), **given}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(IMAGE_HEADER + yaml.safe_dump({"knot": {"build": build}}, sort_keys=False))
    return path if path.is_file() else None


def _absolute(name: str, value: Any) -> Any:
    """Give paths from the root: scripts that read the file run elsewhere."""
    if not isinstance(value, str):
        return [_absolute(name, one) for one in value]
    is_list = name == "packages" and value.endswith((".txt", ".in"))
    is_path = is_list or name in ("source", "dockerfile") or (name == "conda" and value != "here")
    return str(expanded(value)) if is_path else value


def _path(name: str = NAME) -> Path:
    # Looked up each time: DASK_CONFIG may have changed, and tests change it.
    if not has_folder():
        raise FileNotFoundError("there is no home folder for Dask's configuration")
    return Path(dask.config.PATH) / name
