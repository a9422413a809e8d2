"""The packages that are installed here: their modules, their versions, and what they need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def find(name: str) -> Distribution | None:
    """Look for an installed package."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def by_module() -> dict[str, set[str]]:
    """Name the packages of each top module.

    `pipreqs.get_import_local` knows those packages only that carry a ``top_level.txt``, which many
    (numpy among them) no longer do: here their files are looked at too.
    """
    found: dict[str, set[str]] = {}
    for each in distributions():
        name = each.metadata["Name"]
        for module in _tops(each) if name else ():  # what is half removed has no name
            found.setdefault(module, set()).add(canonicalize_name(name))
    return found


def _tops(package: Distribution) -> Iterator[str]:
    declared = package.read_text("top_level.txt")
    if declared:
        yield from declared.split()
        return
    for file in package.files or ():
        is_package = file.name == "__init__.py" and len(file.parts) > 1
        if is_package or (len(file.parts) == 1 and file.suffix in (".py", ".so", ".pyd")):
            yield file.parts[0].partition(".")[0]
        elif file.suffix in (".so", ".pyd") and len(file.parts) == 2:
            yield file.parts[0]


def pin(package: Distribution) -> str:
    """Give the requirement for exactly what is installed, such as ``numpy==2.4.6``.

    What was installed from git is named by its commit; a local part of a version, such as the
    ``+cu121`` of some indexes, is left out, since other indexes don't have it.
    """
    name = canonicalize_name(package.metadata["Name"])
    origin = _origin(package)
    source = origin.get("vcs_info")
    if source:
        commit = source.get("commit_id") or source.get("requested_revision", "HEAD")
        folder = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
        return f"{name} @ {source['vcs']}+{origin['url']}@{commit}{folder}"
    try:
        return f"{name}=={Version(package.version).public}"
    except InvalidVersion:
        return f"{name}==={package.version}"


def is_local(package: Distribution) -> bool:
    """Tell whether a package was installed from this machine: no index has it."""
    return str(_origin(package).get("url", "")).startswith("file:")


def size(package: Distribution) -> int:
    """Give the bytes of its files, as far as it says them."""
    return sum(file.size or 0 for file in package.files or ())


def _origin(package: Distribution) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(package.read_text("direct_url.json") or "{}")
    return found


def needed_by(names: Iterable[str]) -> dict[str, Distribution]:
    """Give the packages of these names and all that they need, as far as installed here."""
    found: dict[str, Distribution] = {}
    waiting = [(name, frozenset[str]()) for name in names]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        package = find(name)
        if package is None:
            continue
        found[canonicalize_name(name)] = package
        for need in _needs(package, extras):
            entry = (canonicalize_name(need.name), frozenset(need.extras))
            if entry not in seen:
                seen.add(entry)
                waiting.append(entry)
    return found


def _needs(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in package.requires or ():
        try:
            need = Requirement(text)
            environments = [{"extra": extra} for extra in ("", *extras)]
            if need.marker is None or any(need.marker.evaluate(each) for each in environments):
                yield need
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # pip will judge it
