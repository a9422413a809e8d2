"""The size of a simulated world, the work that is brought to it, and what comes out of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dask.typing import Key

from benchmarks.simulate.numbers import Numbers
from dask_knot.tracking.events import Graph


@dataclass(frozen=True, slots=True)
class World:
    """One simulated account.

    Attributes
    ----------
    numbers : Numbers
        What everything takes.
    slots : int
        Jobs that may run at once: the vCPUs of the compute environment at most.
    spot : bool
        Whether instances may be reclaimed.
    seed : int
        Decides all that is left to chance.
    """

    numbers: Numbers = field(default_factory=Numbers)
    slots: int = 256
    spot: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A graph, and the truth about its tasks.

    Attributes
    ----------
    name : str
        What it is called in tables.
    graph : Graph
        Its tasks, constants included; none of them is ever run.
    seconds : mapping of Key to float
        What each task takes on one vCPU, once what it reads is there; constants take nothing.
    nbytes : mapping of Key to int
        The bytes of the value of each task and constant.
    reads : mapping of Key to int
        Bytes that tasks read from S3 themselves, such as chunks of Zarr: one request each.
    """

    name: str
    graph: Graph
    seconds: Mapping[Key, float]
    nbytes: Mapping[Key, int]
    reads: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy made of a workload in a world.

    Attributes
    ----------
    makespan : float
        Seconds from the graph's submission until the client knows all outcomes.
    vcpu_seconds_paid : float
        Of all instances, from launch to termination.
    vcpu_seconds_used : float
        Of tasks alone, those that were lost or done twice included.
    jobs : int
        Children that were started by Batch's queue, first attempts only.
    api_calls : int
        All calls to Batch.
    requests : mapping of str to int
        Requests to S3, by operation: put, get, list, delete; of jobs and of the client.
    nbytes : mapping of str to int
        Bytes that were ``read`` from S3 and ``written`` to it.
    tasks : int
        Tasks that were run, those that were lost or done twice included.
    notes : tuple of str
        Decisions that were taken on the way, a line each.
    """

    makespan: float
    vcpu_seconds_paid: float
    vcpu_seconds_used: float
    jobs: int
    api_calls: int
    requests: Mapping[str, int]
    nbytes: Mapping[str, int]
    tasks: int = 0
    notes: tuple[str, ...] = ()
