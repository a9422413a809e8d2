"""The worlds of the three engines: AWS, and this machine with containers or processes.

On this machine nothing boots, and a folder is the store. What takes hours on AWS takes seconds
here: the same workloads, with seconds and bytes divided, so that proportions stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.world import Workload
from dask_knot.settings.settings import resolve


@dataclass(frozen=True)
class EngineWorld:
    """Where an engine runs jobs.

    Parameters
    ----------
    numbers
        What everything takes there.
    slots
        Jobs at once: of a small one, and of a large one.
    shrink
        What seconds and bytes of workloads are divided by.
    """

    numbers: Numbers
    slots: tuple[int, ...]
    shrink: float

    def take(self, workload: Workload) -> Workload:
        """Make a workload one of this world."""
        by = self.shrink
        return replace(
            workload,
            seconds={key: seconds / by for key, seconds in workload.seconds.items()},
            nbytes={key: int(nbytes / by) for key, nbytes in workload.nbytes.items()},
            reads={key: int(nbytes / by) for key, nbytes in workload.reads.items()},
        )


#: A folder on this machine, and no instances: what jobs need is there.
_HERE = replace(
    Numbers(),
    **dict.fromkeys(("boot_shortest", "boot_usual", "boot_longest", "billed_at_least"), 0.0),
    **dict.fromkeys(("idle_longest", "image_bytes", "placement", "client_latency"), 0.0),
    **dict.fromkeys(("s3_latency", "s3_put_latency", "call_latency"), 0.0002),
    **dict.fromkeys(("s3_rate", "job_rate", "client_up", "client_down"), 1e9),
    calls_per_second=10_000.0,
    scaling_interval=0.001,
    dispatch_rate=500.0,
)
WORLDS: Mapping[str, EngineWorld] = {
    "aws": EngineWorld(Numbers(), (16, 64), 1.0),
    # `docker run` until Python has imported what it needs; measured here, about half a second.
    "docker": EngineWorld(
        replace(_HERE, container_start=0.3, python_start=0.2, container_end=0.1, dependency=0.02),
        (4, 16),
        60.0,
    ),
    # A fork of a warm process: about 20 ms until it runs, as the setting `job-start` says.
    "local": EngineWorld(
        replace(
            _HERE, container_start=0.015, python_start=0.005, container_end=0.005, dependency=0.005
        ),
        (4, 16),
        1000.0,
    ),
}


def tempo_of(engine: str) -> dict[str, Any]:
    """Give what `knot.yaml` has for an engine, by the names of the fields of `Tempo`."""
    return asdict(resolve({"engine": engine}).tempo)
