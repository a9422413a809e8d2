"""What containers of jobs may have: plain words become Batch's own ``containerProperties``. Pure.

Whatever Batch knows besides can be said in its own spelling (``linuxParameters``): it is passed on,
and checked by botocore's description of Batch when a cluster is opened (`aws/container`).
"""

from __future__ import annotations

import copy
import logging
import math
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dask_knot.errors import ConfigurationError
from dask_knot.settings import checks
from dask_knot.settings.awschecks import SECRETS_MANAGER
from dask_knot.settings.checks import check_names, wrong
from dask_knot.settings.linux import LINUX, Properties, bytes_of
from dask_knot.settings.ulimits import ulimits
from dask_knot.settings.volumes import volumes

GIB = 2**30
#: GiB of a job on Fargate: what each has, and what Batch takes beyond it.
USUAL_STORAGE, MOST_STORAGE = 20, 200

logger = logging.getLogger(__name__)

#: What something else decides, and what.
DECIDED = {
    "image": "image=",
    "command": "the tasks themselves",
    "vcpus": "cores=",
    "memory": "memory=",
    "resourceRequirements": "cores=, memory= and gpus=",
    "environment": "environment=",
    "secrets": "secrets=",
    "jobRoleArn": "job_role=",
    "executionRoleArn": "`dask knot up --existing-execution-role`",
    "enableExecuteCommand": "`dask knot up --shell`",
    "runtimePlatform": "`dask knot up --architecture`",
    "instanceType": "`dask knot up --instance-types`",
}
#: The rest of ``containerProperties`` that has no capital in it.
PASSED_ON = ("privileged", "ulimits", "user", "volumes")


def container(name: str, value: Any) -> Properties:
    """Take what containers are to have.

    Parameters
    ----------
    name : str
        What errors call it.
    value : mapping of str to Any, or None
        Plain words with their values, names of ``containerProperties`` with theirs, or both.

    Returns
    -------
    dict
        A part of ``containerProperties``.

    Raises
    ------
    ConfigurationError
        If a word is unknown or its value wrong, or if something is given twice.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(word, str) for word in value):
        raise wrong(name, value, 'a mapping, such as {"shared-memory": "8 GiB"}')
    found: Properties = {}
    for word, said in value.items():
        if said is None:
            continue
        part = _part(name, word, said)
        if twice := _both(set(_leaves(found)), set(_leaves(part))):
            raise ConfigurationError(f"{name}: {', '.join(sorted(twice))} is given twice")
        found = merged(found, part)
    _check_whole(name, found)
    return found


def _check_whole(name: str, found: Properties) -> None:
    linux = found.get("linuxParameters")
    if isinstance(linux, Mapping) and "swappiness" in linux and "maxSwap" not in linux:
        raise ConfigurationError(f"{name}: swappiness has no effect without swap: give both")
    # Docker would not make such a container, and Batch take that for a fault of the machine.
    if paths := [path for path, count in Counter(_mounted(found)).items() if count > 1]:
        raise ConfigurationError(f"{name}: {', '.join(paths)} is given twice")


def ignored(name: str, value: Any) -> Properties:
    """Take the same where jobs are no containers, and say that it means nothing."""
    if found := container(name, value):
        logger.warning("%s has no effect with engine='local': its jobs aren't containers", name)
    return found


def merged(first: Mapping[str, Any], more: Mapping[str, Any]) -> Properties:
    """Put two parts together: lists behind each other, and else what `more` says."""
    found = dict(first)
    for name, value in more.items():
        there = found.get(name)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            found[name] = merged(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            found[name] = [*there, *value]
        else:
            found[name] = value
    return found


def _part(name: str, word: str, said: Any) -> Properties:
    if word in DECIDED:
        raise ConfigurationError(
            f"{name}: {word} can't be set here; it is decided by {DECIDED[word]}"
        )
    if not _has_names(said):
        raise wrong(f"{name}.{word}", said, "mappings with strings as names")
    plain = word.replace("_", "-")
    is_batchs = word in PASSED_ON and isinstance(said, (list, tuple))
    if plain in WORDS and not is_batchs:
        return WORDS[plain](f"{name}.{word}", said)
    if not is_batchs and not re.search("[A-Z]", word):
        complaint = f"{name} has no setting"
        check_names([plain], WORDS, complaint)
    if word == "logConfiguration" and isinstance(said, Mapping):
        said = {"logDriver": "awslogs", **said}
    return {word: copy.deepcopy(list(said) if isinstance(said, tuple) else said)}


def _has_names(said: Any) -> bool:
    if isinstance(said, Mapping):
        return all(isinstance(key, str) and _has_names(one) for key, one in said.items())
    return not isinstance(said, (list, tuple)) or all(map(_has_names, said))


def _mounted(found: Properties) -> Iterator[str]:
    """Name the folders of the container that something is mounted on."""
    linux = found.get("linuxParameters")
    tmpfs = linux.get("tmpfs") if isinstance(linux, Mapping) else ()
    for some in (tmpfs, found.get("mountPoints")):
        for one in some if isinstance(some, list) else ():
            path = one.get("containerPath") if isinstance(one, Mapping) else None
            if isinstance(path, str):
                yield posixpath.normpath("/" + path.lstrip("/"))


def _leaves(part: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Name what is said, by its path; lists only grow."""
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        elif not isinstance(value, list):
            yield above + name


def _both(first: set[str], second: set[str]) -> set[str]:
    """Name what is in both, or within something of the other."""
    pairs = [(f"{one}.", f"{other}.") for one in first for other in second]
    same = {max(pair, key=len) for pair in pairs if pair[0].startswith(pair[1])}
    same |= {max(pair, key=len) for pair in pairs if pair[1].startswith(pair[0])}
    return {name.removesuffix(".") for name in same}


def _storage(name: str, value: Any) -> Properties:
    size = math.ceil(bytes_of(name, value) / GIB)
    if not USUAL_STORAGE <= size <= MOST_STORAGE:
        raise wrong(name, value, f"from {USUAL_STORAGE} to {MOST_STORAGE} GiB (Fargate's limits)")
    return {"ephemeralStorage": {"sizeInGiB": size}} if size > USUAL_STORAGE else {}


def _flag(*path: str) -> Callable[[str, Any], Properties]:
    def check(name: str, value: Any) -> Properties:
        return _at(path, checks.flag(name, value))

    return check


def _at(path: tuple[str, ...], value: Any) -> Properties:
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def _user(name: str, value: Any) -> Properties:
    who = str(value) if type(value) is int else value
    part = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?"
    if not isinstance(who, str) or not re.fullmatch(rf"{part}(:{part})?", who):
        raise wrong(name, value, "a user of the image, by name or number, with or without a group")
    return {"user": who}


def _platform_version(name: str, value: Any) -> Properties:
    if not isinstance(value, str) or not re.fullmatch(r"LATEST|\d+\.\d+\.\d+", value):
        raise wrong(name, value, 'LATEST, or a version of Fargate such as "1.4.0"')
    return {"fargatePlatformConfiguration": {"platformVersion": value}}


def _public_ip(name: str, value: Any) -> Properties:
    said = "ENABLED" if checks.flag(name, value) else "DISABLED"
    return {"networkConfiguration": {"assignPublicIp": said}}


def _registry_secret(name: str, value: Any) -> Properties:
    if not isinstance(value, str) or not re.fullmatch(SECRETS_MANAGER, value):
        raise wrong(name, value, "the ARN of a secret of Secrets Manager, with user and password")
    return {"repositoryCredentials": {"credentialsParameter": value}}


#: What each plain word may be.
WORDS: dict[str, Callable[[str, Any], Properties]] = {
    **LINUX,
    "ulimits": ulimits,
    "volumes": volumes,
    "init": _flag("linuxParameters", "initProcessEnabled"),
    "read-only": _flag("readonlyRootFilesystem"),
    "privileged": _flag("privileged"),
    "user": _user,
    "ephemeral-storage": _storage,
    "platform-version": _platform_version,
    "public-ip": _public_ip,
    "registry-secret": _registry_secret,
}
