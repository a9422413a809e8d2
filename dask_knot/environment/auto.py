"""What ``auto`` stands for: the packages of what a script, a notebook or a session imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dask_knot.environment import distributions
from dask_knot.environment.imports import Imports, find_imports
from dask_knot.environment.origins import origin_of
from dask_knot.environment.problems import Notice, Report
from dask_knot.environment.providers import KNOWN, providers_of
from dask_knot.environment.session import is_interactive, running_script, session_imports

#: First names that many packages share: alone they say nothing of what is missing.
NAMESPACES = ("azure", "backports", "google", "jaraco", "nvidia", "ruamel", "zope")


def imported_packages(source: Path | None, report: Report) -> Iterator[str]:
    """Name the packages here whose modules are imported.

    Parameters
    ----------
    source : Path, optional
        A script, a notebook or a folder; None: what runs here.
    report : callable
        Told what was not read, and what is imported but not installed.
    """
    tops = distributions.by_module()
    imports, origin = _imports(source, tops)
    if source is None and not (imports.dotted or imports.own):
        report("nothing that runs here imports a package: the image has only Dask and dask_knot")
    for line in imports.unread:
        report(Notice(line))
    yield from sorted(_projects(imports, tops, origin, report))
    for name in imports.implied:
        yield from sorted(tops.get(name, ()))
    wanted: set[str] = set()
    missing: dict[str, None] = {}
    for dotted in imports.dotted:
        providers = providers_of(dotted, tops)
        wanted |= providers
        if not providers and dotted.partition(".")[0] not in imports.optional:
            missing[_missing(dotted, tops)] = None
    yield from sorted(wanted)
    for name in missing:
        package = f" (pip install {KNOWN[name]})" if name in KNOWN else ""
        text = f"{origin} imports {name}, which is not installed here{package}"
        report(Notice(f"{text}: left out of the image"))


def _imports(source: Path | None, tops: Mapping[str, set[str]]) -> tuple[Imports, str]:
    """Find the imports, and the name of what has them."""
    if source is not None:
        return find_imports(source, tops), source.name
    script = running_script()
    if script is None or is_interactive():
        return session_imports(tops), "this session"
    return find_imports(script, tops, sys.path), script.name


def _projects(
    imports: Imports, tops: Mapping[str, set[str]], origin: str, report: Report
) -> Iterator[str]:
    """Name the editable projects among the modules beside a source; the others hide packages."""
    for name in imports.own:
        for package in tops.get(name, ()):
            found = distributions.find(package)
            if found is not None and origin_of(found).is_local:
                yield package
            else:
                hidden = (
                    f"{name} next to {origin} shadows the package {package}, which is left "
                    "out of the image"
                )
                report(Notice(hidden))


def _missing(dotted: str, tops: Mapping[str, set[str]]) -> str:
    """Name what isn't there: all of the name where the first part is shared by many."""
    top = dotted.partition(".")[0]
    return dotted if top in tops or top in NAMESPACES else top
