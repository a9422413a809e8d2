"""The way of each package into an image: by its version, as a wheel of what is here, or none."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from importlib.metadata import Distribution
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dask_knot.environment import conda
from dask_knot.environment.contents import COMPILED, contents
from dask_knot.environment.distributions import pin
from dask_knot.environment.origins import (
    OriginKind,
    PackageOrigin,
    conda_prefix_of,
    folder_of,
    origin_of,
)
from dask_knot.environment.problems import Problems, Report
from dask_knot.environment.target import Target
from dask_knot.environment.wheel import is_made_here, tags_of, why_no_wheel

#: So many bytes from a URL go in as a wheel; larger ones (models of languages) are fetched again.
LARGEST = 2**26
CONDAS = "conda's"


class Transfer:
    """Finds for each package how it goes into an image.

    Parameters
    ----------
    target : Target
        What the image is for.
    problems : Problems
        Told of packages that can't be had there.
    report : callable
        Told what may be missed there.
    labels : collection of str
        Local parts of versions that an index is known to have.

    Attributes
    ----------
    lines : dict of str to str
        One requirement for each package that pip fetches.
    wheels : dict of str to Distribution
        What goes in as a wheel of the files that are here.
    """

    def __init__(
        self, target: Target, problems: Problems, report: Report, labels: Collection[str] = ()
    ) -> None:
        self._target, self._problems, self._report = target, problems, report
        self._labels = labels
        self._records: dict[Path, dict[str, conda.CondaRecord]] = {}
        listed = target.conda not in ("", "here") and Path(target.conda).is_file()
        self._listed = Path(target.conda).read_text("utf-8") if listed else ""
        self.lines: dict[str, str] = {}
        self.wheels: dict[str, Distribution] = {}

    def add(self, package: Distribution) -> None:
        """Find the way of a package."""
        name, origin = canonicalize_name(package.metadata["Name"]), origin_of(package)
        if origin.is_local:
            self._add_local(name, package, origin)
        elif origin.kind is OriginKind.CONDA:
            self._add_condas(name, package)
        elif origin.url:
            self._add_addressed(name, package, origin)
        elif not self._needs_libraries(
            name, package, "installed by the system, or was compiled here"
        ):
            self._add_indexed(name, package)

    def tell_of_conda(self, packages: Collection[Distribution]) -> None:
        """Say what conda's packages need that is no Python package."""
        if self._target.conda:
            return
        of_conda = [one for one in packages if origin_of(one).kind is OriginKind.CONDA]
        needs = {
            need
            for records in self._records.values()
            for need in conda.needed_beside_python(of_conda, records)
        }
        if needs:
            self._report(
                f"these packages use {', '.join(sorted(needs))} from conda, which no package "
                "index has. Wheels usually bring what they need; if jobs miss something, "
                f"add it with `--debian`, or use {conda.CONDA}"
            )

    def _add_indexed(self, name: str, package: Distribution) -> None:
        """Copy what was compiled while it was installed: an image has no compiler."""
        is_ours = is_made_here(package) and self._target.is_here and "+" not in package.version
        if is_ours and _size(package) <= LARGEST and not why_no_wheel(package, self._target):
            self._take_wheel(name, package)
        else:
            self._pin(name, package)

    def _needs_libraries(self, name: str, package: Distribution, whose: str) -> bool:
        """Refuse what no index has ready to be installed, if what it is compiled with lacks."""
        debian = conda.ONLY_CONDA.get(name)
        is_ready = any("manylinux" in tag for tag in tags_of(package))
        is_there = self._target.has_own_base or bool(
            debian and debian.split()[0] in self._target.debian
        )
        if debian is None or is_ready or is_there:
            return False
        asked = " ".join(f"--debian {one}" for one in debian.split())
        libraries = f"Add what it needs to compile (`{asked}`), or use " if debian else "Take "
        self._problems.add(
            f"{name} {package.version} is {whose}, and no index has a wheel of it",
            f"{libraries}{conda.CONDA}"
            if whose == CONDAS
            else f"{libraries}a base image that has it (`--base`), or {conda.CONDA}",
        )
        return True

    def _pin(self, name: str, package: Distribution) -> None:
        self.lines[name] = pin(package, self._labels)
        _, _, label = package.version.partition("+")
        if label and label not in self._labels and "===" not in self.lines[name]:
            self._report(
                f"{name} {package.version} is installed from the index as "
                f"{self.lines[name]}: to get the '{label}' build, name its index "
                "(`--extra-index-url …` in a requirements file)"
            )
        if "===" in self.lines[name]:
            self._report(
                f"the version of {name}, {package.version}, isn't valid by today's rules: if "
                "pip doesn't find it, name another (`--package`)"
            )

    def _take_wheel(self, name: str, package: Distribution) -> None:
        self.wheels[name] = package
        if _is_compiled(package):
            self._report(
                f"{name} goes in as it was compiled here: the image's C library must be at "
                "least as new as this machine's"
            )

    def _add_local(self, name: str, package: Distribution, origin: PackageOrigin) -> None:
        why = why_no_wheel(package, self._target)
        is_others = origin.is_gone and not _is_of_users(package)
        if is_others and (why or _is_compiled(package)):
            # As of Spack, EasyBuild, Nix: they compile what an index has as well.
            self._pin(name, package)
            self._report(
                f"{name} was built from {origin.folder}, which isn't here: "
                f"{self.lines[name]} is installed from the index instead"
            )
            return
        if not why:
            self._take_wheel(name, package)
            return
        place = f" from {origin.folder}" if origin.folder else ""
        cure = "Name it as a version or as `git+https://...` in the packages"
        is_copy = origin.kind is OriginKind.EDITABLE and origin.folder is not None
        if is_copy and not os.path.exists(str(origin.folder)):
            why = "that folder no longer exists"
            cure = f"Restore the folder, reinstall the package, or n{cure[1:]}"
        elif "not found" in why and is_copy:
            cure = f"Install it without -e (`pip install {origin.folder}`), or name it as a version"
        elif "compiled" in why:
            cure += ", build for this machine's platform, or use your own Dockerfile"
        self._problems.add(f"no wheel can be made of {name} as installed here{place}: {why}", cure)

    def _add_addressed(self, name: str, package: Distribution, origin: PackageOrigin) -> None:
        """Copy what came from a URL or a repository: a build may have neither key nor way there."""
        is_public = origin.kind is OriginKind.URL and not re.search(r"://[^/]*@", origin.url)
        why = why_no_wheel(package, self._target)
        if not why and (_size(package) <= LARGEST or not is_public):
            self._take_wheel(name, package)
        elif re.match(r"\w+\+ssh:", origin.url):
            self._problems.add(
                f"{name} came from {origin.url}, which a build has no key for, and no wheel "
                f"can be made of what is installed here: {why}",
                "Name it with https:// in the packages, or build on a machine of that platform",
            )
        else:
            self.lines[name] = f"{name} @ {origin.url}"

    def _add_condas(self, name: str, package: Distribution) -> None:
        record = self._record(name, package)
        called = {name, record.name if record else name}
        listed = (re.search(rf"\b{re.escape(one)}\b", self._listed) for one in called)
        if self._target.conda == "here" or any(listed):
            return  # it comes with the base
        if self._needs_libraries(name, package, CONDAS):
            return
        is_private = record is not None and record.channel not in conda.PUBLIC
        if is_private and not _is_compiled(package):
            self._take_wheel(name, package)
        else:
            self.lines[name] = _pin_of_record(name, package, record) or pin(package, self._labels)

    def _record(self, name: str, package: Distribution) -> conda.CondaRecord | None:
        prefix = conda_prefix_of(package)
        if prefix is None:
            return None
        if prefix not in self._records:
            self._records[prefix] = conda.read_records(prefix)
        return conda.record_of(name, self._records[prefix])


def _is_of_users(package: Distribution) -> bool:
    """Tell whether a package lies in an environment of the user's own, virtual or conda's."""
    is_in_own = sys.prefix != sys.base_prefix and folder_of(package).is_relative_to(sys.prefix)
    return is_in_own or conda_prefix_of(package) is not None


def _size(package: Distribution) -> int:
    return sum(file.stat().st_size for file in contents(package).values())


def _is_compiled(package: Distribution) -> bool:
    return any(path.endswith(COMPILED) for path in contents(package))


def _pin_of_record(
    name: str, package: Distribution, record: conda.CondaRecord | None
) -> str | None:
    """Give the version that conda knows, where that of the metadata is another.

    Some of conda's packages were built without their history, and call themselves 0.0.0.
    """
    try:
        here, told = Version(package.version), Version(record.version if record else "")
    except InvalidVersion:
        return None
    return f"{name}=={told.public}" if here.release == (0, 0, 0) and told != here else None
