"""What containers have of Linux: shared memory, swap, folders in memory, devices. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from dask_knot.settings import checks
from dask_knot.settings.checks import check_names, wrong

MIB = 2**20

Properties = dict[str, Any]


def _linux(name: str, value: Any) -> Properties:
    return {"linuxParameters": {name: value}}


def _mebibytes(name: str, value: Any) -> int:
    return math.ceil(bytes_of(name, value) / MIB)


def bytes_of(name: str, value: Any) -> int:
    """Take an amount of memory."""
    size = checks.memory(name, value)
    if size is None:
        raise wrong(name, value, 'an amount of memory, such as "4 GiB"')
    return size


def _shared_memory(name: str, value: Any) -> Properties:
    return _linux("sharedMemorySize", _mebibytes(name, value))


def _swap(name: str, value: Any) -> Properties:
    is_none = value in (0, "0") and not isinstance(value, bool)
    return _linux("maxSwap", 0 if is_none else _mebibytes(name, value))


def _swappiness(name: str, value: Any) -> Properties:
    if checks.count(name, value, least=0) > 100:
        raise wrong(name, value, "from 0 to 100")
    return _linux("swappiness", checks.count(name, value, least=0))


def _tmpfs(name: str, value: Any) -> Properties:
    if not isinstance(value, Mapping):
        raise wrong(name, value, 'folders and their sizes, such as {"/scratch": "2 GiB"}')
    return _linux("tmpfs", [_one_tmpfs(name, path, said) for path, said in value.items()])


def _one_tmpfs(name: str, path: Any, said: Any) -> Properties:
    given = said if isinstance(said, Mapping) else {"size": said}
    check_names(given, ("size", "options"), f"{name}.{path} has no setting")
    found = {"containerPath": folder(name, path), "size": _mebibytes(name, given.get("size", ""))}
    options = given.get("options")
    if options is not None:
        if not isinstance(options, list):
            raise wrong(f"{name}.{path}.options", options, 'a list, such as ["noexec"]')
        found["mountOptions"] = [str(one) for one in options]
    return found


def _devices(name: str, value: Any) -> Properties:
    if not isinstance(value, (list, tuple)):
        raise wrong(name, value, 'a list of devices, such as ["/dev/fuse"]')
    return _linux("devices", [_device(name, one) for one in value])


def _device(name: str, value: Any) -> Properties:
    written = re.fullmatch(r"(/[^:]+)(?::(/[^:]+))?(?::([rwm]{1,3}))?", str(value))
    if not written:
        raise wrong(name, value, "paths such as /dev/fuse, or /dev/here:/dev/there:rw")
    found: Properties = {"hostPath": written[1], "containerPath": written[2] or written[1]}
    rights = {"r": "READ", "w": "WRITE", "m": "MKNOD"}
    return {**found, "permissions": [rights[one] for one in dict.fromkeys(written[3] or "rwm")]}


def folder(name: str, path: Any) -> str:
    """Take the path of a folder in a container."""
    if not isinstance(path, str) or not path.startswith("/") or path == "/" or ":" in path:
        raise wrong(name, path, "absolute folders, such as /scratch")
    return path


#: What each of these words may be.
LINUX: dict[str, Callable[[str, Any], Properties]] = {
    "shared-memory": _shared_memory,
    "tmpfs": _tmpfs,
    "devices": _devices,
    "swap": _swap,
    "swappiness": _swappiness,
}
