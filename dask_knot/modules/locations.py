"""Where modules are: the entry of the import path that has one, and what is to be taken of it."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dask_knot.modules.ownership import SITES, Ownership, absolute
from dask_knot.run.bundle import Precedence


class ModulePlace(NamedTuple):
    """Where a module is.

    Attributes
    ----------
    top : str
        Its name; of a package that of its top.
    root : str
        The entry of the import path: a folder, or what is in an archive.
    path : str
        The file, the folder of a package, or the archive.
    archive : str
        The archive, if it is in one.
    is_doubtful : bool
        Whether it may be any folder whose name stands in a text: nobody has imported it, and
        nothing says that it is a package.
    """

    top: str
    root: str
    path: str
    archive: str = ""
    is_doubtful: bool = False


def locate(top: str, module: Any, owners: Ownership) -> list[ModulePlace] | None:
    """Tell where a module of the user's own is; several folders may have parts of a namespace.

    `module` is None if it isn't imported. None if there is no such module; nothing if it is of
    others.
    """
    spec = getattr(module, "__spec__", None)
    if module is None:
        try:
            spec = importlib.util.find_spec(top)
        except Exception:  # finders are code of others
            return None
        if spec is None:
            return None
    return [one for one in _places(top, module, spec) if owners.is_own(top, one.path)]


def _places(top: str, module: Any, spec: Any) -> Iterator[ModulePlace]:
    archive = getattr(getattr(spec, "loader", None), "archive", "")
    folders = getattr(module, "__path__", None) or getattr(spec, "submodule_search_locations", None)
    file = getattr(module, "__file__", None)
    if file is None and getattr(spec, "has_location", False):
        file = spec.origin
    try:
        paths = [str(one) for one in folders] if folders else [file]
    except Exception:  # a lazy path of others
        return
    for path in paths:
        if not isinstance(path, str):
            continue
        full = absolute(path)
        if archive:
            yield ModulePlace(top, os.path.dirname(full), absolute(archive), archive)
        elif folders or not os.path.isdir(full):
            is_doubtful = module is None and file is None
            yield ModulePlace(top, os.path.dirname(full), full, is_doubtful=is_doubtful)


def precedence(root: str, real: Sequence[str]) -> tuple[int, Precedence]:
    """Tell where an entry stands on the import path, and what it stands before.

    What isn't on it (any more) was imported nevertheless, so nothing may hide it. In the path that
    is given no entry is a link.
    """
    wanted = os.path.realpath(root)
    if wanted not in real:
        return -1, Precedence.PYTHON
    position = real.index(wanted)
    library = os.path.realpath(sysconfig.get_paths()["stdlib"])
    before = real.index(library) if library in real else len(real)
    sites = (n for n, one in enumerate(real) if not SITES.isdisjoint(Path(one).parts))
    if position < before:
        return position, Precedence.PYTHON
    is_before_sites = position < next(sites, len(real))
    return position, Precedence.INSTALLED if is_before_sites else Precedence.NOTHING
