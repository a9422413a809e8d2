"""What others have added to the classes of pandas, xarray and polars: accessors and methods.

``table.stations.mean()`` calls code that nothing names but for "stations": whoever registered it
gave it to a class, which itself is known by the version of its package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Set
from types import CodeType
from typing import Any

from dask_knot.digests.environment import PYTHON, Environment

#: By module, the classes that are extended.
_CLASSES = {
    "pandas": ("DataFrame", "Series", "Index"),
    "xarray": ("Dataset", "DataArray", "DataTree"),
    "polars": ("DataFrame", "LazyFrame", "Series", "Expr"),
}


def names_in(code: CodeType) -> Set[str]:
    """Give all attributes and globals that code names, also in the functions that it makes."""
    inner = [names_in(one) for one in code.co_consts if isinstance(one, CodeType)]
    return {*code.co_names}.union(*inner)


def patched(names: Set[str], environment: Environment) -> Iterator[tuple[str, Any]]:
    """Give what is among these names an attribute of such a class, and from somewhere else."""
    for module, classes in _CLASSES.items():
        library = sys.modules.get(module)
        for kind in [getattr(library, name, None) for name in classes]:
            for base in kind.__mro__ if isinstance(kind, type) else ():
                for name in sorted(names & vars(base).keys()):
                    member = _inner(vars(base)[name])
                    if _is_foreign(member, module, environment):
                        yield f"{base.__name__}.{name}", member


def _inner(member: Any) -> Any:
    """Give the class of an accessor, the function of a property or a method."""
    for inner in ("_accessor", "fget", "__func__"):
        found = getattr(member, inner, None)
        if found is not None:
            return found
    return member


def _is_foreign(member: Any, module: str, environment: Environment) -> bool:
    where = getattr(member, "__module__", None)
    if not callable(member) or not isinstance(where, str):
        return False
    origin, library = environment.origin(where), environment.origin(module)
    if origin is None or library is None:
        return origin is not library
    return origin is not PYTHON and origin.name not in library.versions
