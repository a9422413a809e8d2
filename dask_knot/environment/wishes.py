"""What the user wants in an image: packages as they are here, or others of his own choice."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from dask_knot.environment import conda
from dask_knot.environment.distributions import find
from dask_knot.environment.files import (
    EDITABLE,
    cure_of_other,
    extras_of,
    is_file_of_requirements,
    is_place,
    place_of,
    read_file,
)
from dask_knot.environment.origins import PackageOrigin, name_of, origin_of, path_of
from dask_knot.environment.problems import Problems, Report
from dask_knot.environment.target import Target

OWN = "dask-knot"
#: What pip takes without a name.
REFERENCE = re.compile(r"[\w+]+://|(git|hg|svn|bzr)\+")
#: What needs a key, which no build has.
BY_SSH = re.compile(r"(\w+ ?@ ?)?(\w+\+)?ssh://|.*\+ssh://|.*git\+git@")


@dataclass(slots=True)
class Wishes:
    """What was asked for.

    Attributes
    ----------
    target, problems, report
        What the image is for; who is told what is wrong, and what is done.
    taken : dict of str to set of str
        Packages as they are here, each with its extras.
    own : dict of str to str
        Requirements that pip must solve, by their names, or by themselves.
    constraints, options : list of str
        Lines of files: versions, and where packages are.
    """

    target: Target
    problems: Problems
    report: Report
    taken: dict[str, set[str]] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def take(self, name: str, extras: Iterable[str] = ()) -> None:
        """Take a package as it is here; one that isn't here is left to pip."""
        key = canonicalize_name(name)
        if key == OWN:
            return  # it is in every image, as it is here
        if find(name) is None:
            self.own.setdefault(key, name)
        elif key not in self.own:
            self.taken.setdefault(key, set()).update(extras)

    def add(self, text: str) -> None:
        """Take what the user wrote; without a version, the one that is here."""
        text = text.replace("\0", "").strip()
        try:
            urlsplit(text.rpartition("@ ")[2])
        except ValueError as error:  # a bracket that isn't closed
            self.problems.add(f"{text!r} is not a package: {error}", "Check the URL")
            return
        cure = cure_of_other(text)
        named = re.match(r"(?:-r|--requirement)[ =]*(.+)", text)
        copy = EDITABLE.match(text)
        if cure:
            self.problems.add(f"{text} isn't a requirements file", cure)
        elif named or is_file_of_requirements(text):
            self._add_file(Path(named[1] if named else text))
        elif REFERENCE.match(text) and not text.startswith("file:"):
            self._add_reference(text)
        elif copy or is_place(text):
            place = copy[1] if copy else text
            self._add_folder(place_of(place), extras_of(place))
        else:
            try:
                self._add_named(Requirement(text))
            except InvalidRequirement:
                self._refuse(text)

    def _add_file(self, path: Path) -> None:
        found = read_file(path, self.problems)
        self.constraints += found.constraints
        self.options += found.options
        for line in found.requirements:
            self.add(line)

    def _refuse(self, text: str) -> None:
        of_conda = re.fullmatch(r"(?:[\w./-]+::)?([\w.-]+)(?:=([\w.]+)(=\w+)?)?", text)
        version = f"=={of_conda[2]}" if of_conda and of_conda[2] else ""
        self.problems.add(
            f"{text!r} is not a package",
            f"Write '{of_conda[1]}{version}': channels and a single '=' are conda's"
            if of_conda
            else "Write a requirement such as 'pandas' or 'scipy>=1.14', a reference such as "
            "'git+https://github.com/owner/name@v1', or a requirements file",
        )

    def _add_named(self, need: Requirement) -> None:
        if not self.target.wants(need.marker):
            return
        need.marker = None
        name, package = canonicalize_name(need.name), find(need.name)
        if name == OWN:
            return
        if need.url:
            self._add_url(need, package)
        elif package is not None and _is_as_here(need, package):
            self.own.pop(name, None)
            self.take(name, need.extras)
        elif package is None and (others := self._other_names(name)):
            self.report(f"conda's {name} is {', '.join(others)} on Python's index")
            for one in others:
                self.take(one, need.extras)
        elif package is None and self._is_only_conda(name):
            self.problems.add(
                f"{name} exists only as a conda package: no Python index has it",
                f"Leave it out (wheels bring what they need), or use {conda.CONDA}",
            )
        else:
            self._want(name, str(need))

    def _want(self, key: str, line: str) -> None:
        self.taken.pop(key, None)
        self.own[key] = line

    def _other_names(self, name: str) -> tuple[str, ...]:
        record = _record(name)
        return tuple(one for one in record.python if find(one)) if record else ()

    def _is_only_conda(self, name: str) -> bool:
        record = _record(name)
        return record is not None and not record.python and not self.target.conda

    def _add_url(self, need: Requirement, package: Distribution | None) -> None:
        """Take ``name @ URL``: what is here from there, or from a folder of whoever made it."""
        url, name = str(need.url), canonicalize_name(need.name)
        path = path_of(url)
        if package is not None and (path is not None or _is_same(url, origin_of(package))):
            self.take(name, need.extras)
        elif path is None:
            self._fetch(name, str(need))
        elif os.path.exists(path):
            self._refuse_folder(path)
        else:
            line = _pinned_by_file(name, path)
            self.report(
                f"{name} isn't installed here and {path} doesn't exist: {line} is installed "
                "from the index instead"
            )
            self._want(name, line)

    def _add_folder(self, path: Path, extras: Collection[str]) -> None:
        name = _installed_from(lambda origin: origin.folder is not None and _same(origin, path))
        if name is None:
            self._refuse_folder(path)
        else:
            self.take(name, extras)

    def _refuse_folder(self, path: Path) -> None:
        if not os.path.exists(path):
            self.problems.add(f"{path} doesn't exist", "Check the path, or name the package")
            return
        how = f"-e {quote(str(path))}" if path.is_dir() else quote(str(path))
        self.problems.add(
            f"{path} isn't installed here, and images get only what is installed",
            f"Install it here (`pip install {how}`): it then goes in as a wheel",
        )

    def _add_reference(self, text: str) -> None:
        name = _installed_from(lambda origin: _is_same(text, origin))
        if name is None:
            self._fetch(text, text)
        else:
            self.take(name)

    def _fetch(self, key: str, line: str) -> None:
        if BY_SSH.match(line):
            self.problems.add(
                f"{line} is fetched over ssh, and a build has no key",
                "Install it here first (`pip install`): it then goes in as a wheel. Or use "
                "its https:// address",
            )
        else:
            self._want(key, line)


def _record(name: str) -> conda.CondaRecord | None:
    prefix = conda.find_prefix()
    return conda.read_records(prefix).get(name) if prefix else None


def _is_as_here(need: Requirement, package: Distribution) -> bool:
    """Tell whether the version that somebody wants is the one that is here, but for its label."""
    specifiers = list(need.specifier)
    if not specifiers:
        return True
    if len(specifiers) > 1 or specifiers[0].operator not in ("==", "==="):
        return False
    try:
        wanted, here = Version(specifiers[0].version), Version(package.version)
    except InvalidVersion:
        return specifiers[0].version == package.version
    return wanted.public == here.public and wanted.local in (None, here.local)


def _installed_from(is_it: Callable[[PackageOrigin], bool]) -> str | None:
    for package in distributions():
        name = name_of(package)
        if name and is_it(origin_of(package)):
            return name
    return None


def _same(origin: PackageOrigin, path: Path) -> bool:
    return origin.folder is not None and origin.folder.resolve() == path.resolve()


def _is_same(url: str, origin: PackageOrigin) -> bool:
    """Tell whether a package came from a URL: at its commit, or the branch that was asked for."""
    (base, revision), (other, commit) = _apart(url), _apart(origin.url)
    return bool(origin.url) and base == other and revision in ("", commit, origin.revision)


def _apart(url: str) -> tuple[str, str]:
    """Take a URL apart: without its credentials and ending, and the revision."""
    try:
        parts = urlsplit(url)
    except ValueError:  # damaged metadata
        return url, ""
    path, _, revision = parts.path.partition("@")
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host}{path.removesuffix('.git')}", revision


def _pinned_by_file(name: str, path: Path) -> str:
    try:
        return f"{name}=={parse_wheel_filename(path.name)[1].public}"
    except InvalidWheelFilename:
        match = re.match(rf"{re.escape(name)}-(\d[\w.]*?)(\.tar\.gz|\.zip)?$", path.name, re.I)
        return f"{name}=={match[1]}" if match else name
