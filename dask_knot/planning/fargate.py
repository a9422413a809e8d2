"""The sizes that a Fargate job may have, and the nearest one to a size that it may not: pure."""

from __future__ import annotations

from dask_knot.errors import ConfigurationError

GIB = 1024

#: vCPUs, and the memory in MiB that goes with them (AWS Batch API reference, ResourceRequirement).
SIZES: dict[float, tuple[int, ...]] = {
    0.25: (512, GIB, 2 * GIB),
    0.5: tuple(range(GIB, 4 * GIB + 1, GIB)),
    1: tuple(range(2 * GIB, 8 * GIB + 1, GIB)),
    2: tuple(range(4 * GIB, 16 * GIB + 1, GIB)),
    4: tuple(range(8 * GIB, 30 * GIB + 1, GIB)),
    8: tuple(range(16 * GIB, 60 * GIB + 1, 4 * GIB)),
    16: tuple(range(32 * GIB, 120 * GIB + 1, 8 * GIB)),
}


#: The most that a job may have.
LARGEST_VCPUS = max(SIZES)
LARGEST_MEMORY = max(SIZES[LARGEST_VCPUS])


def most_memory(vcpus: float) -> int:
    """Give the memory in MiB of the largest job that has so many vCPUs at most."""
    return max((max(sizes) for cores, sizes in SIZES.items() if cores <= vcpus), default=0)


def most_within(vcpus: float, memory: float) -> int:
    """Give the memory in MiB of the largest job with so many vCPUs at least, and no more memory.

    0 if there is none.
    """
    sizes = (size for cores, sizes in SIZES.items() if cores >= vcpus for size in sizes)
    return max((size for size in sizes if size <= memory), default=0)


def check(vcpus: float, memory: int, gpus: int = 0) -> None:
    """Refuse a size that Fargate doesn't have.

    Parameters
    ----------
    vcpus : float
        vCPUs of a job.
    memory : int
        Its memory in MiB.
    gpus : int
        Its GPUs: Fargate has none.

    Raises
    ------
    ConfigurationError
        The message names the nearest size that there is.
    """
    if gpus:
        raise ConfigurationError(
            "Fargate has no GPUs: make a stack with `dask knot up --platform ec2` for such jobs"
        )
    if memory in SIZES.get(vcpus, ()):
        return
    size = nearest(vcpus, memory)
    if size is None:
        raise ConfigurationError(
            f"Fargate has no jobs of {vcpus:g} vCPU and {memory} MiB, nor anything larger "
            "than 16 vCPU and 120 GiB: ask for less, or make a stack with `dask knot up "
            "--platform ec2`"
        )
    cores, mebibytes = size
    raise ConfigurationError(
        f"Fargate has no jobs of {vcpus:g} vCPU and {memory} MiB. The nearest is {cores:g} vCPU "
        f"and {mebibytes} MiB: KnotCluster(cores={cores:g}, memory='{mebibytes} MiB'), or for some "
        f"tasks dask.annotate(knot={{'vcpus': {cores:g}, 'memory': '{mebibytes} MiB'}})"
    )


def nearest(vcpus: float, memory: float) -> tuple[float, int] | None:
    """Give the smallest size that has at least so much of both, or None."""
    fitting = (
        (cores, size)
        for cores, sizes in SIZES.items()
        for size in sizes
        if cores >= vcpus and size >= memory
    )
    return min(fitting, default=None)
