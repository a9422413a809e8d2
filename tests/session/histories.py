"""Recorded histories of jobs: what Batch answers about them, and what they left in manifests.

Times are seconds after a moment; Batch tells milliseconds since the epoch.
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dask_knot.planning import Resources
from dask_knot.prices.pricelist import MachineType, PriceList, PriceSheet
from dask_knot.run import manifest
from dask_knot.run.machine import Machine
from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import ManifestFound

EPOCH = 1_700_000_000
REGION = "us-east-1"
GIB = 2**30

#: A small list of prices: dollars an hour.
PRICES = PriceList(
    (
        PriceSheet(
            datetime.date(2026, 11, 1),
            "made up for tests",
            {
                "m5.large": MachineType("m5.large", 2, 8192, "amd64"),
                "m5.xlarge": MachineType("m5.xlarge", 4, 16384, "amd64"),
                "r5.large": MachineType("r5.large", 2, 16384, "amd64"),
                "c7g.xlarge": MachineType("c7g.xlarge", 4, 8192, "arm64"),
                "g4dn.2xlarge": MachineType("g4dn.2xlarge", 8, 32768, "amd64", 1),
                "x9.large": MachineType("x9.large", 2, 8192, "amd64"),
            },
            {
                "us-east-1": {
                    "m5.large": 0.096,
                    "m5.xlarge": 0.192,
                    "r5.large": 0.126,
                    "c7g.xlarge": 0.144,
                    "g4dn.2xlarge": 0.75,
                },
                "eu-west-1": {"m5.large": 0.108},
            },
            {
                "us-east-1": {
                    "m5.large": {"us-east-1a": 0.036, "us-east-1b": 0.048},
                    "c7g.xlarge": {"us-east-1a": 0.06},
                }
            },
            {
                "us-east-1": {
                    "amd64": (0.04, 0.0045),
                    "arm64": (0.032, 0.0036),
                    "amd64-spot": (0.012, 0.0015),
                }
            },
            {"us-east-1": (0.000005, 0.0000004, 0.023)},
        ),
    )
)


def on(type: str, lifecycle: str = "on-demand", zone: str = "us-east-1a") -> Machine:
    """Name a machine as a job finds it out."""
    return Machine("ip-10-0-0-1", type, zone, lifecycle, "arm64" if "g." in type else "x86_64")


@dataclass(frozen=True)
class Left:
    """A manifest: whose it is, on which machine, and when which task ran (prefix, start, stop)."""

    index: int
    machine: Machine
    tasks: Sequence[tuple[str, float, float]]
    attempt: int = 1
    started: float = 0.0
    stage: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    is_final: bool = True

    def found(self) -> ManifestFound:
        """Write and read it, as the job and the client do."""
        work: dict[str, Work] = {}
        times = array("d")
        for prefix, start, stop in self.tasks:
            one = work.setdefault(prefix, Work())
            one.tasks += 1
            one.seconds += stop - start
            times.extend((EPOCH + start, EPOCH + stop))
        shard = ShardId(StageId(0, self.stage), self.index)
        made = Manifest(
            self.is_final,
            self.attempt,
            (),
            work=work,
            times=times.tobytes(),
            requests=self.requests,
            machine=self.machine,
            started=EPOCH + self.started,
        )
        name = f"run/manifests/{shard.stored}"
        return ManifestFound(
            shard, name, manifest.decode(name, b"".join(manifest.encode(made, ())))
        )


@dataclass(frozen=True)
class Recorded:
    """A job as Batch describes it: what its containers have, and the attempts of its children.

    An attempt is (start, stop), of which the start is None if no container ever began and the stop
    if it runs, and perhaps the container instance behind them.
    """

    children: Sequence[Sequence[tuple[Any, ...]]]
    vcpus: float = 1
    memory: int = 2048
    gpus: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)
    status: str = "SUCCEEDED"
    is_forgotten: bool = False

    @property
    def resources(self) -> Resources:
        """What the client asked for."""
        return Resources(self.vcpus, self.memory * 2**20, self.gpus)

    def details(self, id: str) -> Iterator[dict[str, Any]]:
        """Give what Batch answers about its children, or about itself if it is no array."""
        for index, attempts in enumerate(self.children if not self.is_forgotten else ()):
            one = id if len(self.children) == 1 else f"{id}:{index}"
            yield self._detail(one, attempts)

    def _detail(self, id: str, attempts: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        needs = {"VCPU": f"{self.vcpus:g}", "MEMORY": str(self.memory), "GPU": str(self.gpus)}
        container = {
            "resourceRequirements": [
                {"type": kind, "value": value} for kind, value in needs.items() if value != "0"
            ],
            **self.more.get("container", {}),
        }
        more = {name: value for name, value in self.more.items() if name != "container"}
        listed = [_attempt(*attempt) for attempt in attempts]
        return {
            "jobId": id,
            "status": self.status,
            "container": container,
            "attempts": listed,
            **more,
        }


def _attempt(start: float | None, stop: float | None, instance: str = "") -> dict[str, Any]:
    times = {"startedAt": start, "stoppedAt": stop}
    told = {name: int((EPOCH + t) * 1000) for name, t in times.items() if t is not None}
    return {**told, "container": {"containerInstanceArn": instance} if instance else {}}


@dataclass(frozen=True)
class History:
    """What happened to the jobs of stages, twins of their children behind them."""

    jobs: Sequence[Recorded]
    left: Sequence[Left]
    twins: Mapping[int, Recorded] = field(default_factory=dict)
    now: float = 10_000.0
