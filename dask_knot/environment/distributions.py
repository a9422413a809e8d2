"""The packages that are installed here: their modules, their versions, and their sizes."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import Distribution, distributions

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dask_knot.environment.contents import tops
from dask_knot.environment.origins import OriginKind, name_of, origin_of


def find(name: str) -> Distribution | None:
    """Look for an installed package: the first on Python's path that has a name and a version.

    A working copy has metadata beside its modules, which come first where Python was started in
    it. Those of its installation say more, and are taken: it must not matter where that was.
    """
    known = iter(Distribution.discover(name=name) if name else ())
    found = next(filter(name_of, known), None)
    if found is None or (origin := origin_of(found)).kind is not OriginKind.EDITABLE:
        return found
    installed = (one for one in known if one.read_text("RECORD") and origin_of(one) == origin)
    return found if found.read_text("RECORD") else next(installed, found)


def by_module() -> dict[str, set[str]]:
    """Name the packages of each top module.

    Many packages (numpy among them) no longer carry a ``top_level.txt``: their files are looked at,
    and those of working copies.
    """
    found: dict[str, set[str]] = {}
    for each in distributions():
        name = name_of(each)
        for module in tops(each) if name else ():  # what is half removed has no name
            found.setdefault(module, set()).add(canonicalize_name(name))
    return found


def pin(package: Distribution, labels: Collection[str] = ()) -> str:
    """Give the requirement for exactly what is installed, such as ``numpy==2.4.6``.

    Parameters
    ----------
    package : Distribution
        The package.
    labels : collection of str
        Local parts of versions, such as the ``cu121`` of ``2.5.0+cu121``, that an index is known to
        have. Others are left out: other indexes don't have them.
    """
    name = canonicalize_name(package.metadata["Name"])
    try:
        version = Version(package.version)
    except InvalidVersion:
        return f"{name}==={package.version}"
    return f"{name}=={version if version.local in labels else version.public}"


def size(package: Distribution) -> int:
    """Give the bytes of its files, as far as it says them."""
    return sum(file.size or 0 for file in package.files or ())
