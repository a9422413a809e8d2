"""What the children of a session share: where they work, and who of them is at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dask.typing import Key

from benchmarks.simulate.network import Traffic, read_seconds
from benchmarks.simulate.objects import SimulatedRun
from benchmarks.simulate.sources import Fetched
from benchmarks.simulate.world import Workload
from dask_knot.run.names import StageId


class Worker(Protocol):
    """A child at work, as far as others know it."""

    def expect_orders(self) -> None:
        """Look at the orders when it looks next, if they concern it."""


@dataclass(slots=True, eq=False)
class Site:
    """What the children of a session share.

    Attributes
    ----------
    run : SimulatedRun
        Where packs and manifests are.
    truth : Workload
        What tasks take, and how large values are.
    traffic : Traffic
        Counts what children ask of S3.
    tasks : int
        Tasks that have ended.
    at_work : dict of StageId to dict of Worker to None
        The children that run, in the order of their starts.
    """

    run: SimulatedRun
    truth: Workload
    traffic: Traffic
    tasks: int = 0
    at_work: dict[StageId, dict[Worker, None]] = field(default_factory=dict)

    def heed(self, stage: StageId) -> None:
        """Let the children of a stage know of new orders: they see them when they look next."""
        for program in list(self.at_work.get(stage, ())):
            program.expect_orders()

    def seconds(self, key: Key, fetched: Fetched, outside: Sequence[Key]) -> float:
        """Give what a task takes in its job: its own time, and what goes with values."""
        numbers, truth = self.run.numbers, self.truth
        nbytes = sum(fetched.nbytes.get(read, 0) for read in outside)
        took = truth.seconds.get(key, 0.0) + numbers.task_overhead + nbytes / numbers.unpickle_rate
        read = truth.reads.get(key)
        return took if read is None else took + read_seconds(numbers, read)
