"""Every number of the simulated world: its value, unit and source, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

MIB = 2**20
ASSUMED = "assumed"
MEASURED = "measured here"
_LAUNCHES = "https://www.martysweet.co.uk/ec2-launch-times/ (Oct 2023)"
_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html"


def _number(value: float, unit: str, what: str, source: str) -> Any:
    return field(default=value, metadata={"unit": unit, "what": what, "source": source})


@dataclass(frozen=True, slots=True)
class Numbers:
    """What everything takes; `dataclasses.replace` varies a world. `rows` has units and sources."""

    # Instances.
    boot_shortest: float = _number(
        40.0, "s", "from launch until an instance takes jobs, at least", ASSUMED
    )
    boot_usual: float = _number(75.0, "s", "... most often", ASSUMED)
    boot_longest: float = _number(180.0, "s", "... at most", ASSUMED)
    vcpus_largest: float = _number(
        32, "vCPU", "of the largest instance that Batch chooses", ASSUMED
    )
    vcpus_smallest: float = _number(2, "vCPU", "of the smallest one", ASSUMED)
    billed_at_least: float = _number(
        60.0,
        "s",
        "that are paid of each instance",
        "https://aws.amazon.com/ec2/pricing/on-demand/ (per second, 60 s at least)",
    )
    image_bytes: float = _number(
        350 * MIB, "B", "of an image of jobs, compressed", "python:slim with dask, numpy, pandas"
    )
    pull_rate: float = _number(
        35 * MIB, "B/s", "at which an instance pulls and unpacks an image", ASSUMED
    )
    idle_longest: float = _number(
        120.0, "s", "until Batch ends an instance on which nothing runs", ASSUMED
    )
    reclaims: float = _number(
        0.02, "1/h", "Spot reclaims of an instance, where there are any", ASSUMED
    )
    # The queue.
    scaling_interval: float = _number(
        15.0, "s", "between two looks of Batch at how many instances are needed", ASSUMED
    )
    placement: float = _number(
        3.0, "s", "from RUNNABLE to STARTING where an instance has room", ASSUMED
    )
    dispatch_rate: float = _number(25.0, "1/s", "children that a queue starts", ASSUMED)
    container_start: float = _number(
        2.0, "s", "from STARTING to a process, the image being there", ASSUMED
    )
    container_end: float = _number(
        2.0, "s", "from the end of a process until Batch says so and the slot is free", ASSUMED
    )
    dependency: float = _number(
        5.0, "s", "from the end of what a job depends on until it is RUNNABLE", ASSUMED
    )
    attempts: float = _number(3, "", "starts of a child whose machine is lost", "knot.yaml")
    # Calls.
    calls_per_second: float = _number(
        50.0,
        "1/s",
        "calls of one kind to Batch",
        "https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html (SubmitJob)",
    )
    call_latency: float = _number(0.15, "s", "of one call from a laptop", ASSUMED)
    # S3, from a job.
    s3_latency: float = _number(0.03, "s", "until the first byte, within a region", ASSUMED)
    s3_put_latency: float = _number(0.05, "s", "of a small put, within a region", ASSUMED)
    s3_rate: float = _number(
        85 * 10**6, "B/s", "of one request", f"{_S3} (85 to 90 MB/s for each request)"
    )
    job_rate: float = _number(
        150 * 10**6,
        "B/s",
        "of all requests of a job of one vCPU: its share of the instance's network",
        "m6i.8xlarge: 12.5 Gbit/s for 32 vCPUs is 49 MB/s, burst of smaller ones 12.5 for 4",
    )
    requests_at_once: float = _number(8, "", "requests of a job under way", "job/inputs.py")
    # The process in a container.
    python_start: float = _number(1.2, "s", "until `dask_knot.job` is imported", MEASURED)
    task_overhead: float = _number(60e-6, "s", "around each task", MEASURED)
    unpickle_rate: float = _number(1e9, "B/s", "at which values are pickled and read", ASSUMED)
    # The client, a laptop.
    client_latency: float = _number(0.08, "s", "of one request to S3 from a laptop", ASSUMED)
    client_up: float = _number(5 * 10**6, "B/s", "a laptop's upload (40 Mbit/s)", ASSUMED)
    client_down: float = _number(25 * 10**6, "B/s", "a laptop's download (200 Mbit/s)", ASSUMED)
    planning: float = _number(20e-6, "s", "of the client for each task planned", MEASURED)
    packing: float = _number(30e-6, "s", "of the client for each task put into a pack", MEASURED)
    packed_task: float = _number(120.0, "B", "of a task in a pack", MEASURED)


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
