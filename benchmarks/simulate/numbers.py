"""Every number of the simulated world: its value, unit and source, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

MIB = 2**20
ASSUMED = "assumed"
MEASURED = "measured here"
_BOOTS = (
    "http://www.daemonology.net/blog/2021-08-12-EC2-boot-time-benchmarking.html: 29 s until a port "
    "opens; the rest, Docker and ECS's agent, is assumed"
)
_MINUTES = (
    "https://docs.aws.amazon.com/batch/latest/userguide/when-to-use-fargate.html: typically a few "
    "minutes; the value is assumed"
)
_QUOTA = (
    "https://www.repost.aws/knowledge-center/aws-batch-requests-error: per account; see also "
    "https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html"
)
_LATENCY = (
    "assumed, for clients of one region; AWS says 100 to 200 ms: "
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html"
)
_RATE = (
    "AWS's advice on design patterns is one request for each 85 to 90 MB/s: https://docs.aws.amazon"
    ".com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html"
)
_SPOT = (
    "assumed, on the high side: https://www.nops.io/blog/aws-spot-facts/ saw less than 5 % of "
    "instances reclaimed in a month"
)
_NETWORK = "assumed: bursts of small instances, and 12.5 Gbit/s of m6i.8xlarge shared by 16 jobs"


def _n(value: float, unit: str, what: str, source: str) -> Any:
    """Write down one number, in one line as far as that goes."""
    return field(default=value, metadata={"unit": unit, "what": what, "source": source})


@dataclass(frozen=True, slots=True)
class Numbers:
    """What everything takes; `dataclasses.replace` varies a world. `rows` has units and sources."""

    # Instances.
    boot_shortest: float = _n(
        40.0, "s", "from launch until an instance takes jobs: at least", _BOOTS
    )
    boot_usual: float = _n(75.0, "s", "from launch until an instance takes jobs: usually", _MINUTES)
    boot_longest: float = _n(
        180.0, "s", "from launch until an instance takes jobs: at most", _MINUTES
    )
    vcpus_largest: float = _n(
        32, "vCPU", "size of the largest instance that Batch chooses", ASSUMED
    )
    vcpus_smallest: float = _n(
        2, "vCPU", "size of the smallest instance that Batch chooses", ASSUMED
    )
    billed_at_least: float = _n(
        60.0,
        "s",
        "that you pay at least for an instance",
        "https://aws.amazon.com/ec2/pricing/on-demand/",
    )
    image_bytes: float = _n(
        350 * MIB, "B", "size of a job image, compressed: Python, Dask, NumPy, pandas", ASSUMED
    )
    pull_rate: float = _n(
        35 * MIB, "B/s", "at which an instance pulls and unpacks an image", ASSUMED
    )
    idle_longest: float = _n(
        120.0, "s", "until Batch stops an instance on which nothing runs", ASSUMED
    )
    reclaims: float = _n(0.05, "1/h", "how often a Spot instance is reclaimed", _SPOT)
    # The queue.
    scaling_interval: float = _n(
        15.0, "s", "between Batch's checks of how many instances it needs", ASSUMED
    )
    placement: float = _n(3.0, "s", "from RUNNABLE to STARTING where an instance has room", ASSUMED)
    dispatch_rate: float = _n(25.0, "1/s", "at which a queue starts children", ASSUMED)
    container_start: float = _n(
        2.0, "s", "from STARTING to a process, once the image is there", ASSUMED
    )
    container_end: float = _n(
        2.0, "s", "from the end of a process until Batch says so and the slot is free", ASSUMED
    )
    dependency: float = _n(
        5.0, "s", "from the end of a job's dependency until it is RUNNABLE", ASSUMED
    )
    attempts: float = _n(3, "starts", "of a child that loses its machine", "knot.yaml")
    # Calls.
    calls_per_second: float = _n(50.0, "1/s", "of calls of one kind to Batch", _QUOTA)
    call_latency: float = _n(0.15, "s", "for one call to Batch from a laptop", ASSUMED)
    # S3, from a job.
    s3_latency: float = _n(0.03, "s", "until the first byte of a get, within a region", _LATENCY)
    s3_put_latency: float = _n(0.05, "s", "for a small put, within a region", _LATENCY)
    s3_rate: float = _n(85 * 10**6, "B/s", "of one request", _RATE)
    job_rate: float = _n(100 * 10**6, "B/s", "of all requests of a job with one vCPU", _NETWORK)
    requests_at_once: float = _n(8, "requests", "of one job at the same time", "job/inputs.py")
    # The process in a container.
    python_start: float = _n(1.2, "s", "until `dask_knot.job` is imported", MEASURED)
    task_overhead: float = _n(10e-6, "s", "around each task in a job", MEASURED)
    unpickle_rate: float = _n(1e9, "B/s", "at which a task unpickles values", ASSUMED)
    # The client, a laptop.
    client_latency: float = _n(0.08, "s", "for one request to S3 from a laptop", ASSUMED)
    client_up: float = _n(5 * 10**6, "B/s", "a laptop's upload (40 Mbit/s)", ASSUMED)
    client_down: float = _n(25 * 10**6, "B/s", "a laptop's download (200 Mbit/s)", ASSUMED)
    planning: float = _n(6e-6, "s", "for the client to plan one task", MEASURED)
    packing: float = _n(4e-6, "s", "for the client to put one task into a pack", MEASURED)
    packed_task: float = _n(
        120.0, "B", "size of a task in a pack; 55 for one that reads a small number", MEASURED
    )


class Row(NamedTuple):
    """One line of the table of numbers."""

    name: str
    value: float
    unit: str
    what: str
    source: str


def rows(numbers: Numbers) -> Iterator[Row]:
    """Give the table of the numbers of a world."""
    for one in fields(numbers):
        text = one.metadata
        yield Row(one.name, getattr(numbers, one.name), text["unit"], text["what"], text["source"])
