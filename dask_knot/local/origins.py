"""The origins of modules: the fork server imports the client's own, and none by accident.

What lies in the folder where a program is started, or beside its script, must not hide a module of
Python or of an installed package from the server, which imports more than the program has.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

#: What folders of installed packages are called (the second one by Debian).
SITE_NAMES = ("site-packages", "dist-packages")


def installed_folders() -> tuple[str, ...]:
    """Return the folders of installed packages: their code does not change while we run."""
    paths = sysconfig.get_paths()
    folders = {paths["purelib"], paths["platlib"], site.getusersitepackages()}
    folders.update(site.getsitepackages())
    # A virtual environment may stand on another one.
    folders.update(path for path in texts(sys.path) if os.path.basename(path) in SITE_NAMES)
    return tuple(sorted(os.path.join(folder, "") for folder in folders))


def texts(path: Iterable[object]) -> list[str]:
    """Leave out of an import path what Python doesn't look at, such as a `Path`."""
    return [entry for entry in path if isinstance(entry, str)]


def lasting(path: Iterable[str]) -> list[str]:
    """Give the folders of an import path that are Python's own or those of installed packages."""
    own = {os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")}
    folders = (*own, *installed_folders())
    above = {os.path.dirname(folder.rstrip(os.sep)) for folder in own}
    return [
        entry
        for entry in texts(path)
        if os.path.join(entry, "").startswith(folders)
        or (entry.endswith(".zip") and os.path.dirname(entry) in above)
    ]


def elsewhere(modules: Mapping[str, ModuleType]) -> dict[str, str]:
    """Name the folders of packages and modules that were imported from anywhere else.

    A version of a package that is being worked on is such a one, and so are the user's own.
    """
    own = tuple(os.path.join(folder, "") for folder in lasting(sys.path))
    found = {}
    for name, module in list(modules.items()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if "." in name or not isinstance(origin, str) or not os.path.isabs(origin):
            continue
        folder = os.path.dirname(origin)
        if getattr(module, "__path__", None):  # of a module that only looks like one it is empty
            folder = os.path.dirname(folder)
        if not os.path.join(folder, "").startswith(own):
            found[name] = folder
    return found


class ElsewhereFinder(MetaPathFinder):
    """Finds modules where the client has them from."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = folders

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module that the client has from elsewhere than the import path."""
        folder = self._folders.get(fullname)
        return None if folder is None else PathFinder.find_spec(fullname, [folder], target)
