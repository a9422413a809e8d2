"""Whose a module is: Python's, an installed distribution's, or the user's own."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path

from dask_knot.environment.contents import places
from dask_knot.environment.origins import OriginKind, origin_of
from dask_knot.run.scripts import SCRIPTS

#: Folders of installed packages (the second one is Debian's).
SITES = frozenset({"site-packages", "dist-packages"})
_OURS = "dask_knot"
#: Modules that programs around Python (an editor, a debugger) bring along for themselves.
AROUND = ("sitecustomize", "usercustomize", "debugpy", "pydev", "_pydev", "pycharm")


class Ownership:
    """Tells the user's own modules from all others, by where their files are."""

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        folders = [paths["stdlib"], paths["platstdlib"]]
        both = {str(one) for folder in folders for one in (folder, os.path.realpath(folder))}
        self._foreign = tuple(os.path.join(folder, "") for folder in both)

    def is_own(self, top: str, file: str) -> bool:
        """Tell whether a module that lies in a file, or package in a folder, is the user's own.

        Parameters
        ----------
        top : str
            The name of the module, of a package the part before the first dot.
        file : str
            Where it is; of what is in an archive, a path that goes on inside of it.
        """
        if not os.path.isabs(file) or top.startswith(AROUND) or top in (*SCRIPTS, _OURS):
            return False
        if not SITES.isdisjoint(Path(file).parts) or file.startswith(self._foreign):
            return False
        return not self._is_installed(top, os.path.dirname(file))

    def _is_installed(self, top: str, folder: str) -> bool:
        """Tell whether a distribution beside the module has it, or an editable one."""
        place = os.path.join(os.path.realpath(folder), top)
        known = self._editable.get(top, ())
        return any(f"{one}/".startswith(f"{place}/") for one in known) or _has_record(folder, top)

    @cached_property
    def _editable(self) -> dict[str, list[str]]:
        """Name the places of modules of editable projects: they are in an image as wheels."""
        found: dict[str, list[str]] = {}
        for package in distributions(path=entries()):  # which may hold anything
            for name, place in _editable_places(package).items():
                path = os.path.realpath(place)
                without = path.removesuffix("".join(place.suffixes))
                found.setdefault(name.partition(".")[0], []).append(without)
        return found


def _editable_places(package: Distribution) -> Mapping[str, Path]:
    try:
        is_editable = origin_of(package).kind is OriginKind.EDITABLE
        return places(package) if is_editable else {}
    except Exception:  # what is half removed has no name any more
        return {}


def _has_record(folder: str, top: str) -> bool:
    """Tell whether something was installed right here, as `pip install --target` does."""
    try:
        infos = [*Path(folder).glob("*.dist-info/RECORD")]
        lines = (line for info in infos for line in info.read_text("utf-8", "replace").split("\n"))
        return any(line.startswith((f"{top}/", f"{top}.py,")) for line in lines)
    except OSError:
        return False


def entries() -> list[str]:
    """Give the import path that is here, its relative entries made absolute."""
    return [absolute(entry) for entry in list(sys.path) if isinstance(entry, str)]


def absolute(path: str) -> str:
    """Give a path from the root on; the present folder may be gone."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        return os.path.normpath(os.path.join(os.sep, path))
