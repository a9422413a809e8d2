"""The sizes that jobs can have: for so many vCPUs, the steps of memory that make a difference."""

from __future__ import annotations

from typing import NamedTuple

from dask.utils import format_bytes

from dask_knot.planning.fargate import SIZES

MIB = 2**20
GIB = 2**30
#: GiB for each vCPU of the families c, m and r; a job of less costs as much as one of the least.
FAMILIES = (2, 4, 8)
#: Vendors' machines have no more vCPUs than these.
MOST_VCPUS = 192
#: On this machine any size is there: steps of a half and a third, so that none is far off.
LOCAL_STEPS = tuple(
    size for power in range(6, 21) for size in (2**power * MIB, 3 * 2**power * MIB // 2)
)


class JobSize(NamedTuple):
    """The size of a job: vCPUs, and memory in bytes."""

    cores: float
    memory: int

    def __str__(self) -> str:
        return f"{self.cores:g} vCPU, {readable(self.memory)}"


def steps(platform: str, cores: float, most: int | None = None) -> list[int]:
    """Give the sizes of memory that a job of so many vCPUs can have, in bytes, ascending.

    Parameters
    ----------
    platform : {"local", "ec2", "fargate"}
        What runs the jobs.
    cores : float
        vCPUs of a job.
    most : int, optional
        What a job may have at most: the last step, unless that is less.
    """
    if platform == "fargate":
        found = [size * MIB for size in _fargate(cores)]
    elif platform == "ec2":
        # Above the largest family a job has a larger machine for its memory alone.
        whole = max(1, int(cores))
        found = [gib * whole * GIB for gib in FAMILIES]
        found += [
            FAMILIES[-1] * more * GIB
            for more in (whole * 2**power for power in range(1, 8))
            if more <= MOST_VCPUS
        ]
    else:
        found = [*LOCAL_STEPS]
    if most is None:
        return found
    # All that there is is a size as well.
    below = [size for size in found if size < most]
    return [*below, most] if platform == "local" or len(below) < len(found) else below


def _fargate(cores: float) -> list[int]:
    return next(([*sizes] for vcpus, sizes in SIZES.items() if vcpus >= cores), [])


def smallest(fitting: int, found: list[int]) -> int | None:
    """Give the smallest size that has so many bytes; None if none has."""
    return next((size for size in found if size >= fitting), None)


def readable(memory: int) -> str:
    """Write an amount of memory as a setting takes it.

    >>> readable(3 * 2**29), readable(2**31), readable(2**20 + 1)
    ('1536 MiB', '2 GiB', '1.00 MiB')
    """
    for name, unit in (("GiB", GIB), ("MiB", MIB)):
        if memory % unit == 0:
            return f"{memory // unit} {name}"
    return str(format_bytes(memory))
