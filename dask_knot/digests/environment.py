"""Where code comes from: Python, an installed distribution and all that it needs, or the user.

What is installed is known by its version. What is the user's own, editable and local installations
included, is known by what it says only.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.metadata import packages_distributions as by_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dask_knot.digests.plain import digest

#: Of what digests are made, and how: another one makes all digests new.
SCHEME = 1
#: Extras of distributions that change nothing of what they compute.
_FOR_DEVELOPERS = re.compile(
    r"test|dev|doc|lint|typ|check|style|format|bench|build|release|cover|^ci$|mypy|pre-?commit"
)
_SCRIPTS = ("__main__", "__mp_main__")
_ROOTS = ("site-packages", "dist-packages")


class Environment:
    """The Python that is here, and what is installed in it.

    Parameters
    ----------
    image : str
        Of the jobs, if the user named one himself.
    """

    def __init__(self, image: str = "") -> None:
        self.parts: Mapping[str, str] = {
            "scheme": str(SCHEME),
            "python": "{} {}.{}".format(sys.implementation.name, *sys.version_info[:2]),
            "architecture": platform.machine(),
            "image": image,
        }
        self.token = digest(repr(sorted(self.parts.items())).encode())
        self._origins: dict[str, Origin | None] = {}
        self._closures: dict[str, Origin] = {}
        paths = sysconfig.get_paths()
        self._library = tuple(f"{paths[name]}{os.sep}" for name in ("stdlib", "platstdlib"))

    def origin(self, module: str | None) -> Origin | None:
        """Tell where a module is from; None if it is the user's own."""
        if not module or module in _SCRIPTS:  # in a notebook, its file is that of a distribution
            return None
        if module not in self._origins:
            self._origins[module] = self._find(module)
        return self._origins[module]

    def versions(self) -> dict[str, str]:
        """Give the versions of all that was found so far, and of what it needs."""
        found: dict[str, str] = {}
        for origin in list(self._closures.values()):
            found |= origin.versions
        return found

    def _find(self, name: str) -> Origin | None:
        top = name.partition(".")[0]
        file = _file(sys.modules.get(name) or sys.modules.get(top))
        if top in sys.stdlib_module_names and self._is_of_python(file):
            return PYTHON
        if file is None and top not in sys.modules:
            file = self._file_of_unimported(top)
        if file is None:
            return None
        root = next((root for root in Path(file).parents if root.name in _ROOTS), None)
        if root is None:
            return None
        owners = [one for one in self._owners(top, root, file) if not _is_local(one)]
        if not owners:
            return None
        names = sorted({str(canonicalize_name(one.metadata["Name"])) for one in owners})
        return self._closure(names)

    def _is_of_python(self, file: str | None) -> bool:
        if file is None:
            return True
        is_installed = any(f"{os.sep}{root}{os.sep}" in file for root in _ROOTS)
        return file.startswith(self._library) and not is_installed

    def _file_of_unimported(self, top: str) -> str | None:
        for name in self._by_module.get(top, ()):
            for file in distribution(name).files or ():
                if file.parts[0].partition(".")[0] == top:
                    return str(distribution(name).locate_file(file))
        return None

    @cached_property
    def _by_module(self) -> Mapping[str, list[str]]:
        return by_module()

    def _owners(self, top: str, root: Path, file: str) -> list[Distribution]:
        """Give the distributions that a module may be of; several share a namespace."""
        same = _installed(top)
        if same is not None and Path(str(same.locate_file(""))) == root:
            return [same]
        found = {canonicalize_name(name) for name in self._by_module.get(top, ())}
        owners = [one for one in map(_installed, sorted(found)) if one is not None]
        if len(owners) > 1:
            part = Path(file).relative_to(root)
            exact = [one for one in owners if any(Path(f) == part for f in one.files or ())]
            return exact or owners
        return owners

    def _closure(self, names: list[str]) -> Origin:
        key = " ".join(names)
        if key not in self._closures:
            self._closures[key] = Origin(key, dict(sorted(_needed(names).items())))
        return self._closures[key]


class Origin:
    """Distributions that code is of, and those that they need.

    Attributes
    ----------
    name : str
        Of the distribution.
    versions : mapping of str to str
        Its own version, and those of all that it needs.
    token : bytes
        The digest of all that.
    """

    __slots__ = ("name", "token", "versions")

    def __init__(self, name: str, versions: Mapping[str, str]) -> None:
        self.name = name
        self.versions = versions
        self.token = digest(repr((name, sorted(versions.items()))).encode())


#: The version of Python is in every digest anyway.
PYTHON = Origin("python", {})


def _file(module: ModuleType | None) -> str | None:
    given = getattr(module, "__file__", None)
    if given is None:
        given = next(iter(getattr(module, "__path__", ())), None)
    return os.path.abspath(given) if isinstance(given, str) else None


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


def _direct_url(package: Distribution) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(package.read_text("direct_url.json") or "{}")
    return found


def _is_local(package: Distribution) -> bool:
    """Tell whether a distribution was made of a folder that is here.

    Packages of conda name the folder in which they were built, on a machine of others.
    """
    url = urlsplit(str(_direct_url(package).get("url", "")))
    return url.scheme == "file" and os.path.isdir(unquote(url.path))


def _version(package: Distribution) -> str:
    """Give a version, with the commit or checksum of what no index has."""
    origin = _direct_url(package)
    source = origin.get("vcs_info", {}).get("commit_id") or origin.get("archive_info", {}).get(
        "hash"
    )
    return f"{package.version} {source}" if source else package.version


def _needed(names: list[str]) -> dict[str, str]:
    """Give the versions of distributions and of all that they need, as far as installed here."""
    found: dict[str, str] = {}
    left = [*names]
    while left:
        name = left.pop()
        package = _installed(name) if name not in found else None
        if package is None:
            continue
        found[name] = _version(package)
        left += [canonicalize_name(need.name) for need in _needs(package)]
    return found


def _needs(package: Distribution) -> Iterator[Requirement]:
    extras = package.metadata.get_all("Provides-Extra") or ()
    used = ["", *(extra for extra in extras if not _FOR_DEVELOPERS.search(extra.lower()))]
    for text in package.requires or ():
        try:
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": one}) for one in used):
                yield need
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # pip will judge it
