"""Whose files are what a container writes: those of the user of this process, on every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def owner_options(info: Mapping[str, Any], user: int, group: int) -> dict[str, Any]:
    """Give the options of a container that writes files as this user: pure.

    Parameters
    ----------
    info : mapping
        What the engine says of itself.
    user, group : int
        Of this process.

    Returns
    -------
    dict
        Options of ``containers.create``.
    """
    options = _names(info.get("SecurityOptions") or ())
    found: dict[str, Any] = {"user": f"{user}:{group}"}
    if "rootless" in options or info.get("Rootless"):  # Podman's older ones say it apart
        # The engine is the user's own: he is root there, and everybody else is nobody here.
        found["user"] = "0:0"
    elif "userns" in options:
        # All numbers are moved, ours as well: but not for those who stay in the machine's own.
        found["userns_mode"] = "host"
    if "selinux" in options:
        # A folder of the user's has the label of his home, which no container may touch.
        found["security_opt"] = ["label=disable"]
    return found


def limits(info: Mapping[str, Any], mebibytes: int, swap: int | None = None) -> dict[str, Any]:
    """Give the options that limit memory, where the engine can: a rootless one may not."""
    if info.get("MemoryLimit") is False:
        return {}
    return {"mem_limit": f"{mebibytes}m", "memswap_limit": f"{mebibytes + (swap or 0)}m"}


def _names(options: Iterable[str]) -> set[str]:
    """Read `name=rootless`, `name=seccomp,profile=default`."""
    return {option.partition(",")[0].removeprefix("name=") for option in options}
