"""The files of configuration that `up` and `image` write, so that scripts find what they made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import yaml

from dask_knot.environment.credentials import redact
from dask_knot.run.folder import expanded
from dask_knot.settings.defaults import has_folder
from dask_knot.settings.notes import notes_path, read_notes

#: Dask reads all files of its folder in the order of their names: knot.yaml wins over these.
NAME = "knot-up.yaml"
#: The one option of an image that isn't noted.
SOURCE = "source"
HEADER = """\
# Written by `dask knot up`, deleted by `dask knot down`: with it, KnotCluster() uses the stack.
# What knot.yaml beside it says wins. There are no credentials in here.
"""

IMAGE_HEADER = """\
# Written by `dask knot image`: KnotCluster() and the next `dask knot image` take the same options.
# What knot.yaml beside it says wins. `dask knot image --forget` deletes this file.
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
        f"the stack was made, but it could not be saved in Dask's configuration ({error}): "
        f"to let KnotCluster() use it,\n  export {words}\nor set DASK_CONFIG to a folder "
        "that can be written, and run this again"
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


def write_image(options: Mapping[str, Any]) -> list[str]:
    """Note the options that an image was built with, beside those noted before.

    Without them a cluster would look for an image of other contents, thus of another tag. What is
    read for imports is never noted: the script that runs speaks for itself.

    Parameters
    ----------
    options : mapping of str to Any
        Attributes of `ImageSpec`, empty ones are those that weren't given.

    Returns
    -------
    list of str
        A line for each thing that is noted now and wasn't before.
    """
    given = {
        name: _absolute(name, value)
        for name, value in options.items()
        if value is not None and value != () and name != SOURCE
    }
    before = read_notes()
    build = {name: value for name, value in {**before, **given}.items() if name != SOURCE}
    path = notes_path()
    if build == before:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.chmod(0o600)  # a reference may have a token, as its owner wrote it
    path.write_text(IMAGE_HEADER + yaml.safe_dump({"knot": {"build": build}}, sort_keys=False))
    news = [name for name in given if given[name] != before.get(name)]
    return [
        f"saved for clusters and for the next image: {_words(name, build[name])}" for name in news
    ]


def image_notes(given: Mapping[str, Any]) -> list[str]:
    """Say what was noted before and isn't given now: it is built with, too."""
    noted = {name: one for name, one in read_notes().items() if name != SOURCE}
    left = [name for name in noted if given.get(name) in (None, ())]
    said = [f"as saved before: {_words(name, noted[name])}" for name in left]
    return [*said, f"({notes_path()}; `dask knot image --forget` deletes it)"] if said else []


def forget_image() -> Path | None:
    """Delete what was noted, and forget it; return what was deleted."""
    path = notes_path()
    if not path.is_file():
        return None
    path.unlink()
    dask.config.refresh()
    return path


def _words(name: str, value: Any) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return redact(f"{name}: {words}", ())


def _absolute(name: str, value: Any) -> Any:
    """Give paths from the root: scripts that read the file run elsewhere."""
    if isinstance(value, (list, tuple)):
        return [_absolute(name, one) for one in value]
    if not isinstance(value, str):
        return value
    is_list = name == "packages" and value.endswith((".txt", ".in", ".toml", ".lock"))
    is_list |= name == "conda" and value.endswith((".yml", ".yaml", ".txt", ".lock"))
    return str(expanded(value)) if is_list or name == "dockerfile" else value


def _path() -> Path:
    # Looked up each time: DASK_CONFIG may have changed, and tests change it.
    if not has_folder():
        raise FileNotFoundError("there is no home folder for Dask's configuration")
    return Path(dask.config.PATH) / NAME
