"""The packages of an image: copied from here, and solved only where the user wants others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from dask_knot.environment import conda, distributions
from dask_knot.environment.auto import imported_packages
from dask_knot.environment.closure import closure
from dask_knot.environment.indexes import find_sources
from dask_knot.environment.layers import layers
from dask_knot.environment.problems import Problems, Report
from dask_knot.environment.target import Target, this_platform
from dask_knot.environment.transfer import Transfer
from dask_knot.environment.wheel import Wheel, make_wheel
from dask_knot.environment.wishes import OWN, Wishes

#: What the program in a job imports.
NEEDED = ("dask", "distributed", "cloudpickle", "msgpack", "obstore", "psutil", "PyYAML")
#: What is compared with the client as well, or sums up what is stored, if it is installed here.
IF_INSTALLED = ("numpy", "zlib-ng")


@dataclass(slots=True)
class Requirements:
    """The packages of an image, as pip is told of them.

    Attributes
    ----------
    lines : dict of str to str
        All that is copied from an index or a URL: one exact requirement for each package.
    layers : tuple of tuple of str
        The same, cut into the steps in which it is installed, with nothing solved.
    wheels : tuple of Wheel
        Packages as their files are here, dask_knot first: installed after those.
    own : dict of str to str
        What the user wants in versions of his own, by its name (or by itself, where it has none):
        solved by pip, last.
    constraints : tuple of str
        The versions that pip must keep to meanwhile.
    options : tuple of str
        Lines of files that say where packages are.
    conda : tuple of str
        What conda makes its environment from; none without conda.
    """

    lines: dict[str, str] = field(default_factory=dict)
    layers: tuple[tuple[str, ...], ...] = ()
    wheels: tuple[Wheel, ...] = ()
    own: dict[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()

    @property
    def needs_git(self) -> bool:
        """Tell whether pip must fetch something with git."""
        return any("git+" in line for line in (*self.own.values(), *self.lines.values()))


def resolve_requirements(
    packages: Iterable[str], source: Path | None, report: Report, target: Target | None = None
) -> Requirements:
    """Find out what pip should be told.

    Parameters
    ----------
    packages : iterable of str
        See `ImageSpec.packages`.
    source : Path, optional
        What ``auto`` reads; None: the running script.
    report : callable
        Told what was found, and what jobs won't have.
    target : Target, optional
        What the image is for; None: for this machine.

    Raises
    ------
    PackagesError
        If packages can't be had in an image: all of them are named, each with its cure.
    """
    target, problems = target or Target(this_platform()), Problems()
    wishes = Wishes(target, problems, report)
    for name in (*NEEDED, *(name for name in IF_INSTALLED if distributions.find(name))):
        wishes.take(name)
    for item in packages:
        for text in _expand(item, source, report):
            wishes.add(text)
    found = _copy(wishes, Transfer(target, problems, report, _labels(wishes.options)))
    found.conda = _condas_list(target, problems, report)
    problems.raise_if_any()
    return found


def _copy(wishes: Wishes, transfer: Transfer) -> Requirements:
    """Follow what is taken to all that it needs, and find the way of each package."""
    all_needed = closure(wishes.taken, wishes.target, wishes.own)
    for name, package in sorted(all_needed.here.items()):
        if name != OWN:
            transfer.add(package)
    transfer.tell_of_conda(all_needed.here.values())
    for name, need in all_needed.missing.items():
        need.marker = None
        wishes.own.setdefault(name, str(need))
    lines = transfer.lines
    first = dict.fromkeys((*NEEDED, *IF_INSTALLED), ())
    base = closure(first, wishes.target, wishes.own).here
    own = distributions.find(OWN)
    if own is None:
        cure = "Install it (`pip install -e .` in its working copy)"
        wishes.problems.add("dask_knot is imported, but not installed here", cure)
    wheels = [own, *transfer.wheels.values()]
    exact = [line for line in lines.values() if " @ " not in line]
    return Requirements(
        lines=lines,
        layers=layers(lines, base),
        wheels=tuple(make_wheel(one, wishes.target) for one in wheels if one),
        own=wishes.own,
        constraints=tuple(sorted({*exact, *_others(wishes, lines)})) if wishes.own else (),
        options=tuple(dict.fromkeys(wishes.options)),
    )


def _others(wishes: Wishes, lines: dict[str, str]) -> Iterator[str]:
    """Give the constraints of files, but for packages that are as they are here."""
    for line in wishes.constraints:
        name = re.match(r"[\w.-]+", line)
        if name and canonicalize_name(name[0]) not in lines:
            yield line


def _labels(options: Iterable[str]) -> set[str]:
    """Name the local parts of versions that indexes here say they have: PyTorch's end with it."""
    places = find_sources(options, (), os.environ, Path.home()).urls
    found = (re.search(r"/whl/(?:\w+/)?([\w.]+)/?$", place) for place in places)
    return {match[1] for match in found if match}


def _condas_list(target: Target, problems: Problems, report: Report) -> tuple[str, ...]:
    if not target.conda:
        return ()
    if target.conda == "here":
        prefix = conda.find_prefix()
        if prefix is None:
            problems.add(
                "conda's packages were asked for, but no conda environment is active here",
                "Activate one, or name a file: `--conda environment.yml`",
            )
            return ()
        return conda.explicit_list(conda.read_records(prefix).values(), target, problems)
    lines = Path(target.conda).read_text("utf-8").splitlines()
    bare = tuple(map(conda.without_credentials, lines))
    if [*bare] != lines:
        report(
            f"{target.conda} contains credentials, which are left out of the image: conda "
            "can only use channels there that need no login"
        )
    return bare


def _expand(item: str, source: Path | None, report: Report) -> Iterator[str]:
    """Turn ``auto`` into requirements."""
    if item == "auto":
        yield from imported_packages(source, report)
    else:
        yield item
