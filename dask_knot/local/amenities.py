"""What containers have besides, in the words of the Docker engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask_knot.batch.request import MIB
from dask_knot.extras import extra

with extra():
    from docker.types import Mount, Ulimit

#: What volumes are that only AWS has.
AWAY = ("efsVolumeConfiguration", "s3filesVolumeConfiguration")
_RIGHTS = {"READ": "r", "WRITE": "w", "MKNOD": "m"}


@dataclass(frozen=True, slots=True)
class Amenities:
    """Arguments of Docker's ``create``, beside those that each container has.

    Attributes
    ----------
    options : mapping of str to Any
        Shared memory, limits, temporary file systems, devices, rights, the user.
    mounts : tuple of Mount
        Folders of this machine, the store among them.
    swap : int or None
        MiB of swap; None: there is none.
    unmet : tuple of str
        What was asked for, and only AWS has.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    swap: int | None = None
    unmet: tuple[str, ...] = ()


def store_mount(folder: Path) -> Mount:
    """Show a folder to containers under the same path, to read and write."""
    return Mount(str(folder), str(folder), type="bind")


def amenities(container: Mapping[str, Any], folders: Sequence[Path] = ()) -> Amenities:
    """Translate a part of Batch's ``containerProperties``; `folders` are shown as well."""
    linux = container.get("linuxParameters", {})
    options: dict[str, Any] = {
        "shm_size": MIB * linux["sharedMemorySize"] if "sharedMemorySize" in linux else None,
        "tmpfs": {one["containerPath"]: _tmpfs(one) for one in linux.get("tmpfs", ())} or None,
        "devices": [_device(one) for one in linux.get("devices", ())] or None,
        "mem_swappiness": linux.get("swappiness"),
        "init": linux.get("initProcessEnabled"),
        "ulimits": [_ulimit(one) for one in container.get("ulimits", ())] or None,
        "read_only": container.get("readonlyRootFilesystem"),
        "privileged": container.get("privileged"),
        "user": container.get("user"),
    }
    return Amenities(
        {name: value for name, value in options.items() if value is not None},
        (*map(store_mount, folders), *_mounts(container)),
        linux.get("maxSwap"),
        tuple(_unmet(container)),
    )


def _tmpfs(one: Mapping[str, Any]) -> str:
    return ",".join([f"size={one['size']}m", *one.get("mountOptions", ())])


def _device(one: Mapping[str, Any]) -> str:
    rights = "".join(_RIGHTS[right] for right in one.get("permissions", _RIGHTS))
    return f"{one['hostPath']}:{one.get('containerPath', one['hostPath'])}:{rights}"


def _ulimit(one: Mapping[str, Any]) -> Ulimit:
    return Ulimit(name=one["name"], soft=one["softLimit"], hard=one["hardLimit"])


def _mounts(container: Mapping[str, Any]) -> Iterator[Mount]:
    """Show folders of this machine; a volume that names none is an empty one of the engine's."""
    away = [one["name"] for kind in AWAY for one in _volumes(container, kind)]
    folders = {one["name"]: one["host"].get("sourcePath") for one in _volumes(container, "host")}
    for point in container.get("mountPoints", ()):
        if (name := point["sourceVolume"]) not in away:
            source = folders.get(name)
            kind = "bind" if source else "volume"
            is_fixed = point.get("readOnly", False)
            yield Mount(point["containerPath"], source, type=kind, read_only=is_fixed)


def _volumes(container: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [one for one in container.get("volumes", ()) if kind in one]


def _unmet(container: Mapping[str, Any]) -> Iterator[str]:
    known = {"linuxParameters", "ulimits", "readonlyRootFilesystem", "privileged", "user"}
    yield from sorted(container.keys() - known - {"volumes", "mountPoints"})
    for kind in AWAY:
        if _volumes(container, kind):
            yield kind
