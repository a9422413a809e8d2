"""What an image is made for, beside the machine that it is made on."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from packaging.markers import Marker, UndefinedEnvironmentName, default_environment

#: What Python calls the processors of Docker's platforms.
MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


def this_platform() -> str:
    """Give the platform of images that this machine runs without emulation."""
    is_arm = platform.machine().lower() in ("arm64", "aarch64")
    return "linux/arm64" if is_arm else "linux/amd64"


@dataclass(frozen=True, slots=True)
class Target:
    """What an image is made for: Linux on some processor, and the Python that is here.

    Attributes
    ----------
    platform : str
        ``linux/amd64`` or ``linux/arm64``.
    debian : tuple of str
        Debian packages that are asked for.
    has_own_base : bool
        The user has chosen what it starts from, which may have more than Python.
    conda : str
        Where conda's packages are taken from: ``here``, a file, or "" for an index.
    system : str
        What `sys.platform` is here.
    machine : str
        What this machine's Linux images are made for.
    """

    platform: str
    debian: tuple[str, ...] = ()
    has_own_base: bool = False
    conda: str = ""
    system: str = sys.platform
    machine: str = this_platform()

    @property
    def is_here(self) -> bool:
        """Tell whether what is compiled here runs there."""
        return self.system == "linux" and self.platform == self.machine

    @property
    def tag(self) -> str:
        """Give the tag of a wheel with parts that were compiled here."""
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        name = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        return f"{python}-{python}-{name}"

    def wants(self, marker: Marker | None, extras: Iterable[str] = ()) -> bool:
        """Tell whether a need with this marker is one there.

        A marker that isn't understood holds: pip will judge it.
        """
        if marker is None:
            return True
        there: dict[str, Any] = dict(default_environment()) | {
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": MACHINES[self.platform],
        }
        if self.system != "linux":
            there |= {"platform_release": "", "platform_version": ""}
        try:
            return any(marker.evaluate({**there, "extra": one}) for one in ("", *extras))
        except UndefinedEnvironmentName:
            return True
