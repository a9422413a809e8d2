"""The user's own modules: those that Python would find beside a source, or where its path leads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, FrozenImporter
from pathlib import Path

from dask_knot.environment.syntax import ImportedName

#: Folders that hold other people's code, or nobody's.
FOREIGN = frozenset(
    (".venv", "node_modules", "site-packages", "dist-packages", "__pycache__", ".eggs", ".nox")
)
#: Folders that do, unless they are packages.
MADE = frozenset(("build", "dist"))
SUFFIXES = (".py", ".pyw", ".ipy", ".ipynb")
#: Of a folder with more scripts (a home, a disk) the rest is not read.
MOST = 5000

#: Is told of what can't be read, a line each.
Complain = Callable[[str], None]


def own_roots(source: Path, path: Sequence[str]) -> list[Path]:
    """Give the folders in which Python looks for the modules of a source before all others.

    Parameters
    ----------
    source : Path
        A script, a notebook or a folder.
    path : sequence of str
        Further folders, those of Python itself and of what is installed among them.
    """
    here = source if source.is_dir() else source.parent
    above = here
    while (above / "__init__.py").is_file() and above != above.parent:
        above = above.parent  # as `python -m package.module` has it
    roots = [here, above, *([here / "src"] if source.is_dir() else [])]
    return list(dict.fromkeys([*roots, *(Path(one) for one in path if is_own(one))]))


def is_own(folder: str) -> bool:
    """Tell whether a folder of Python's path is neither Python's nor of installed packages."""
    if not folder or not os.path.isdir(folder):
        return False
    real = os.path.realpath(folder)
    if {"site-packages", "dist-packages"} & set(Path(real).parts):
        return False
    pythons = (os.path.realpath(one) for one in (sys.prefix, sys.base_prefix, sys.exec_prefix))
    inside = any(Path(real).is_relative_to(one) for one in pythons if one not in ("/", "/usr"))
    library = os.path.dirname(os.path.realpath(os.__file__))
    return not inside and not Path(real).is_relative_to(library)


class Beside:
    """Finds modules as Python would, in folders of the user's own.

    Parameters
    ----------
    roots : sequence of Path
        The folders, the first one first.
    installed : collection of str
        The first names of what is installed here.
    """

    def __init__(self, roots: Sequence[Path], installed: Collection[str] = ()) -> None:
        self._roots = roots
        self._installed = installed

    def files(self, name: ImportedName, origin: Path, complain: Complain) -> list[Path] | None:
        """Give the files of a module, all of those of its package; None if it isn't found here."""
        if name.level:
            folder = origin.parent
            for _ in range(name.level - 1):
                folder = folder.parent
            return _modules(folder, name.dotted.split("."), complain)
        parts = name.dotted.split(".")
        if _comes_first(parts[0]):
            return None
        for root in self._roots:
            # A script that has the name of what it wraps doesn't import itself.
            if _is_module(root, parts[0]) and not _is_file(root, parts[0], origin):
                return _package(root, parts[0], complain)
        if parts[0] not in self._installed:  # a folder that is no package comes last
            for root in self._roots:
                if (root / parts[0]).is_dir() and (found := _modules(root, parts, complain)):
                    return found
        return None


def _comes_first(name: str) -> bool:
    """Tell whether Python has a module before it looks into any folder; and our own goes along."""
    return (
        name == "dask_knot"
        or name in sys.builtin_module_names
        or FrozenImporter.find_spec(name) is not None
    )


def _is_module(root: Path, name: str) -> bool:
    is_compiled = any((root / f"{name}{end}").is_file() for end in EXTENSION_SUFFIXES)
    is_package = (root / name / "__init__.py").is_file()
    return is_package or (root / f"{name}.py").is_file() or is_compiled


def _is_file(root: Path, name: str, origin: Path) -> bool:
    return os.path.realpath(root / f"{name}.py") == os.path.realpath(origin)


def _package(root: Path, name: str, complain: Complain) -> list[Path]:
    if (root / name / "__init__.py").is_file():
        return list(scripts_in(root / name, complain))
    return [file] if (file := root / f"{name}.py").is_file() else []


def _modules(root: Path, parts: Sequence[str], complain: Complain) -> list[Path]:
    """Give the files of the longest part of a dotted name that is a module below a folder."""
    for length in range(len(parts), 0, -1):
        folder = root.joinpath(*parts[: length - 1])
        if _is_module(folder, parts[length - 1]):
            return _package(folder, parts[length - 1], complain)
    return []


def scripts_in(folder: Path, complain: Complain) -> Iterator[Path]:
    """Give the scripts and notebooks of a folder, other people's left out, links followed once."""
    waiting, seen, count = [folder], set(), 0
    while waiting:
        here = waiting.pop()
        try:
            if (real := os.path.realpath(here)) in seen:
                continue
            seen.add(real)
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            complain(f"{here} can't be read: {error.strerror}")
            continue
        below = [Path(entry.path) for entry in entries if _is_dir(entry)]
        waiting += reversed([one for one in below if not _is_foreign(one)])
        for entry in entries:
            if entry.name.endswith(SUFFIXES) and not _is_dir(entry):
                count += 1
                if count > MOST:
                    complain(f"{folder} has more than {MOST:,} scripts: the rest aren't read")
                    return
                yield Path(entry.path)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_foreign(folder: Path) -> bool:
    name = folder.name
    is_made = name in MADE and not (folder / "__init__.py").exists()
    is_environment = (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").exists()
    return name.startswith(".") or name in FOREIGN or is_made or is_environment
