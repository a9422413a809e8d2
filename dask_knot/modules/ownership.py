"""Whose a module is: Python's, an installed distribution's, or the user's own."""

from __future__ import annotations

import ast
import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dask_knot.run.scripts import SCRIPTS

#: Folders of installed packages (the second one is Debian's).
SITES = frozenset({"site-packages", "dist-packages"})
#: Modules that programs around Python (an editor, a debugger) bring along for themselves.
_OURS = "dask_knot"
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
        place = os.path.realpath(os.path.join(folder, top))
        if any(place == os.path.realpath(path) for path in self._editable.get(top, ())):
            return True
        return _has_record(folder, top)

    @cached_property
    def _editable(self) -> dict[str, list[str]]:
        """Name the places of modules of editable projects: they are in an image as wheels."""
        found: dict[str, list[str]] = {}
        for package in distributions():
            if _is_editable(package):
                for top, place in _places(package):
                    found.setdefault(top, []).append(place)
        return found


def _has_record(folder: str, top: str) -> bool:
    """Tell whether something was installed right here, as `pip install --target` does."""
    try:
        infos = [*Path(folder).glob("*.dist-info/RECORD")]
        lines = (line for info in infos for line in info.read_text("utf-8", "replace").split("\n"))
        return any(line.startswith((f"{top}/", f"{top}.py,")) for line in lines)
    except OSError:
        return False


def _is_editable(package: Distribution) -> bool:
    try:
        origin = json.loads(package.read_text("direct_url.json") or "{}")
    except (OSError, ValueError):
        return False
    return bool(origin.get("dir_info", {}).get("editable"))


def _places(package: Distribution) -> Iterator[tuple[str, str]]:
    """Give the modules of an editable distribution, and where they are without their suffixes."""
    declared = (package.read_text("top_level.txt") or "").split()
    named = [*declared, str(package.metadata["Name"]).replace("-", "_").replace(".", "_")]
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    project = unquote(urlsplit(str(origin.get("url", ""))).path)
    folders = {project, os.path.join(project, "src")}
    for file in package.files or ():
        text = _text(Path(str(package.locate_file(file)))) if len(file.parts) == 1 else ""
        if file.suffix == ".pth":
            folders.update(line for line in text.splitlines() if os.path.isabs(line))
        elif file.name.startswith("__editable__"):
            yield from _mapping(text).items()
    for folder in folders:
        for top in {name for one in named for name in (one, one.lower())}:
            yield top, os.path.join(folder, top)


def _mapping(source: str) -> dict[str, str]:
    """Read which modules the finder of an editable project finds, and where."""
    for line in source.splitlines():
        name, _, value = line.partition("=")
        if name.partition(":")[0].strip() == "MAPPING":
            try:
                found = ast.literal_eval(value.strip())
                return {str(key): str(path).removesuffix(".py") for key, path in found.items()}
            except (ValueError, SyntaxError, AttributeError):
                return {}
    return {}


def _text(file: Path) -> str:
    if file.suffix not in (".pth", ".py"):
        return ""
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def entries() -> list[str]:
    """Give the import path that is here, its relative entries made absolute."""
    return [os.path.abspath(entry) for entry in list(sys.path) if isinstance(entry, str)]
