"""The steps in which packages are installed: those that change least first, and large ones.

An image has one list of packages, each in one version, and nothing is solved. Installed in one
step, one more package would install all of them again. So parts of the list are steps of their own;
each is taken from Docker's cache as long as it and those before it are the same. The last step has
the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dask_knot.environment import distributions

#: Packages are large from so many bytes on; an image has a limited number of layers.
LARGE, MOST = 2**22, 12


def layers(lines: Mapping[str, str], first: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Cut a list of packages into steps.

    Parameters
    ----------
    lines : mapping of str to str
        A requirement for each package.
    first : collection of str
        The packages of the first layer: those that all jobs need.

    Returns
    -------
    tuple of tuple of str
        The larger a package is, the earlier it comes: a new one then has the fewest behind it.
    """
    base = [lines[name] for name in lines if name in first]
    sizes = {}
    for name in lines:
        package = None if name in first else distributions.find(name)
        size = distributions.size(package) if package else 0
        if size >= LARGE:
            # In powers of two: for another platform it differs a little, and the tag is the same.
            sizes[name] = size.bit_length()
    large = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST]
    rest = [line for name, line in lines.items() if name not in first and name not in large]
    steps = (base, *([lines[name]] for name in large), rest)
    return tuple(tuple(sorted(step, key=str.lower)) for step in steps if step)
