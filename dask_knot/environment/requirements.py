"""The packages of an image, in the versions that are installed here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dask_knot.environment import distributions
from dask_knot.environment.imports import find_imports
from dask_knot.environment.layers import ImageLayer, constraints, layers
from dask_knot.environment.problems import Report
from dask_knot.environment.wheel import Wheel, make_wheel
from dask_knot.errors import ImageError

OWN = "dask_knot"
#: What the program in a job imports.
NEEDED = ("dask", "distributed", "cloudpickle", "msgpack", "obstore", "psutil", "PyYAML")
#: What is compared with the client as well, if it is installed here.
IF_INSTALLED = ("numpy",)


@dataclass(slots=True)
class Requirements:
    """The packages of an image, as pip is told of them.

    Attributes
    ----------
    lines : dict of str to str
        One requirement for each package, by its name (or by itself, where it has none).
    constraints : tuple of str
        The versions of what those need.
    layers : tuple of ImageLayer
        What is installed before the others.
    wheels : tuple of Wheel
        Packages that no index has, dask_knot first.
    """

    lines: dict[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    layers: tuple[ImageLayer, ...] = ()
    wheels: tuple[Wheel, ...] = ()

    @property
    def needs_git(self) -> bool:
        """Tell whether pip must fetch something with git."""
        return any("git+" in line for line in self.lines.values())


def resolve_requirements(
    packages: Iterable[str], source: Path | None, report: Report
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

    Raises
    ------
    ImageError
        If a requirement is wrong, or can't be had in an image.
    """
    found = Requirements()
    local: dict[str, None] = {}
    for name in (*NEEDED, *(name for name in IF_INSTALLED if distributions.find(name))):
        _add_installed(found, local, name)
    for item in packages:
        for text in _expand(item, source, report):
            _add(found, local, text)
    found.constraints = tuple(sorted(constraints(found.lines, found.lines)))
    found.layers = layers(
        found.lines, {canonicalize_name(name) for name in (*NEEDED, *IF_INSTALLED)}
    )
    found.wheels = tuple(make_wheel(name) for name in (OWN, *local))
    return found


def _add_installed(found: Requirements, local: dict[str, None], name: str) -> None:
    """Take a package as it is here: its version, its commit, or a wheel of it."""
    package = distributions.find(name)
    name = canonicalize_name(name)
    if package is None:
        found.lines.setdefault(name, name)
    elif not distributions.is_local(package):
        found.lines[name] = distributions.pin(package)
    elif name != canonicalize_name(OWN) and name not in local:
        local[name] = None
        for need in distributions.needed_by([name]):
            if need != name and need not in found.lines:
                _add_installed(found, local, need)


def _add(found: Requirements, local: dict[str, None], text: str) -> None:
    """Take what a user wrote; without a version, the one that is here."""
    if re.match(r"[\w+]+://|(git|hg|svn|bzr)\+", text):
        found.lines[text] = text
        return
    try:
        need = Requirement(text)
    except InvalidRequirement as error:
        raise ImageError(
            f"{text!r} is no package: write a requirement such as 'pandas' or 'scipy>=1.14', a "
            "reference such as 'git+https://github.com/owner/name@v1', or a file of them"
        ) from error
    name = canonicalize_name(need.name)
    if name == canonicalize_name(OWN):
        return  # as it is here
    if need.specifier or need.url or need.extras or distributions.find(name) is None:
        found.lines[name] = _with_extras(need)
        local.pop(name, None)
    else:
        _add_installed(found, local, name)


def _with_extras(need: Requirement) -> str:
    """Give a requirement as it was written; one with extras only, in the version that is here."""
    package = distributions.find(need.name)
    if need.specifier or need.url or need.marker or package is None:
        return str(need)
    pinned = distributions.pin(package)
    extras = f"[{','.join(sorted(need.extras))}]"
    return re.sub(r"^[\w.-]+", lambda match: match[0] + extras, pinned)


def _expand(item: str, source: Path | None, report: Report) -> Iterator[str]:
    """Turn ``auto`` and names of files into requirements."""
    if item == "auto":
        yield from _imported(source or running_script(), report)
    elif item.endswith((".txt", ".in")):
        yield from read_file(Path(item))
    else:
        yield item


def running_script() -> Path | None:
    """Give the script that runs; None in an interactive session, and for what is installed."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(script) if script else None
    is_command = path is not None and (path.suffix != ".py" or "site-packages" in path.parts)
    return None if is_command or path is None or not path.exists() else path


def _imported(source: Path | None, report: Report) -> Iterator[str]:
    if source is None:
        report("no script is running: the image gets no more packages than Dask's own")
        return
    imports = find_imports(source)
    packages = distributions.by_module()
    for name in imports.unread:
        report(f"{name} is not valid Python: what it imports is not looked at")
    for name in imports.own:
        report(
            f"{name} stands beside {source.name}: the image doesn't have it. Jobs need it as an "
            "installed package (`pip install -e`), or define its functions in the script"
        )
    for name in imports.implied:
        yield from sorted(packages.get(name, ()))
    for name in imports.names:
        yield from sorted(packages.get(name, ()))
        if name not in packages:
            report(f"{source.name} imports {name}, which is not installed here: it is left out")


def read_file(path: Path) -> Iterator[str]:
    """Read a file of requirements, and those that it names.

    Raises
    ------
    ImageError
        If there is no such file, or a line asks for what an image can't have.
    """
    try:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    except OSError as error:
        raise ImageError(f"the requirements {path} can't be read: {error.strerror}") from error
    for line in text.splitlines():
        entry = re.sub(r"(^|\s)#.*$", "", line).strip()
        option = re.match(r"(-r|--requirement)[ =]*(\S+)", entry)
        if option:
            yield from read_file(path.parent / option[2])
        elif entry.startswith(("-", ".", "/")):
            raise ImageError(
                f"{path} has the line {entry!r}, which can't be followed in an image: name the "
                "package instead (what is installed here from a folder goes in as a wheel)"
            )
        elif entry:
            yield re.sub(r"\s+--hash[= ]\S+", "", entry)
