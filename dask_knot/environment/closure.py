"""All that packages need, as it is here: copied, not solved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dask_knot.environment.distributions import find
from dask_knot.environment.target import Target


@dataclass(slots=True)
class NeededPackages:
    """Packages and all that they need.

    Attributes
    ----------
    here : dict of str to Distribution
        What is installed here, by its name.
    missing : dict of str to Requirement
        What is needed there and isn't installed here: only where `there` is another platform, or
        for extras. What works here without a package does so there.
    """

    here: dict[str, Distribution] = field(default_factory=dict)
    missing: dict[str, Requirement] = field(default_factory=dict)


def closure(
    names: Mapping[str, Collection[str]], target: Target, others: Collection[str] = ()
) -> NeededPackages:
    """Find what packages need, on the platform of the image.

    Parameters
    ----------
    names : mapping of str to collection of str
        The extras of each package.
    target : Target
        What the image is made for.
    others : collection of str
        Packages that the user wants in another version: they bring their own needs.
    """
    found = NeededPackages()
    waiting = [(canonicalize_name(name), frozenset(extras)) for name, extras in names.items()]
    wanted = set(waiting)
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        package = find(name)
        if package is None or name in others:
            continue
        found.here[name] = package
        for need in _needs(package, extras, target):
            entry = (canonicalize_name(need.name), frozenset(need.extras))
            is_asked_for = (name, extras) in wanted and bool(extras)
            if (not target.is_here or is_asked_for) and find(need.name) is None:
                found.missing.setdefault(entry[0], need)
            if entry not in seen:
                seen.add(entry)
                waiting.append(entry)
    return found


def _needs(package: Distribution, extras: Collection[str], target: Target) -> Iterator[Requirement]:
    for text in package.requires or ():
        try:
            need = Requirement(text)
        except InvalidRequirement:
            continue  # of an old package: what it means is installed here, or isn't needed
        if target.wants(need.marker, extras):
            yield need
