"""The first layers of an image: packages that change least, and large ones.

An image has one list of packages. Installed in one step, one more package would install all of them
again. So there are steps before it that install parts of the same list in the same versions; each
is taken from Docker's cache as long as it and those before it are the same. The last step goes
through the whole list: what is there already costs it nothing, and what isn't right is mended.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from dask_knot.environment import distributions

#: A package in the one version that is here.
EXACT = r"[\w.-]+(\[.*\])?===?[^;]+"
#: Packages are large from so many bytes on; an image has a limited number of layers.
LARGE, MOST = 2**22, 12


class ImageLayer(NamedTuple):
    """One step of the installation: the arguments of one call of pip."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]


def layers(lines: Mapping[str, str], first: Collection[str]) -> tuple[ImageLayer, ...]:
    """Choose what is installed before the whole list.

    Parameters
    ----------
    lines : mapping of str to str
        The requirements, by package.
    first : collection of str
        The packages of the first layer: those that all jobs need.

    Returns
    -------
    tuple of ImageLayer
        The larger a package is, the earlier it comes: a new one then has the fewest behind it.
    """
    base = {name: line for name, line in lines.items() if name in first and is_exact(line)}
    found, before = [], dict[str, str]()
    for step in (base, *_large(lines, distributions.needed_by(base))):
        before |= step
        # Also what is in the list itself: a layer is the same whether it is, or is only needed.
        listed = (bare(lines[name]) for name in distributions.needed_by(before) if name in lines)
        held = {*constraints(before, lines), *filter(is_exact, listed)}
        found.append(ImageLayer(tuple(sorted(step.values())), tuple(sorted(held))))
    return tuple(layer for layer in found if layer.requirements)


def _large(lines: Mapping[str, str], known: Collection[str]) -> list[dict[str, str]]:
    """Name the large packages among the requirements and what they need, each by itself."""
    exact = [name for name, line in lines.items() if is_exact(line)]
    here = distributions.needed_by(exact)
    if sys.platform != "linux":  # what packages need here they may not need, or have, there
        here = {name: here[name] for name in exact if name in here}
    pins = {name: lines.get(name) or distributions.pin(package) for name, package in here.items()}
    sizes = {
        name: distributions.size(package)
        for name, package in here.items()
        if name not in known and is_exact(pins[name]) and not distributions.is_local(package)
    }
    large = [name for name, size in sizes.items() if size >= LARGE]
    # In powers of two: wheels for another platform differ a little, and should give the same tag.
    large.sort(key=lambda name: (-sizes[name].bit_length(), name))
    return [{name: pins[name]} for name in large[:MOST]]


def constraints(taken: Mapping[str, str], lines: Mapping[str, str]) -> Iterator[str]:
    """Give the versions of what packages need that are taken as they are here.

    Parameters
    ----------
    taken : mapping of str to str
        Requirements, by package.
    lines : mapping of str to str
        All requirements: what they name is not held to the version that is here.
    """
    as_here = [name for name, line in taken.items() if is_exact(line)]
    for name, package in distributions.needed_by(as_here).items():
        # pip takes no references as constraints, and no index has what comes from a folder.
        if name not in lines and not distributions.is_local(package):
            text = distributions.pin(package)
            if is_exact(text):
                yield text


def bare(line: str) -> str:
    """Take the extras away, which constraints can't have."""
    return re.sub(r"\[.*?\]", "", line)


def is_exact(line: str) -> bool:
    """Tell whether a requirement names one version."""
    return re.fullmatch(EXACT, line) is not None
