"""A live Dask cluster that is started for the work: dask-cloudprovider on EC2, and on Fargate.

First the scheduler's machine starts, then the workers', as `EC2Cluster(n_workers=...)` and
`FargateCluster(n_workers=...)` have it; all of them are paid until the work is done, and end then.
The user knows how many tasks can run at once and asks for so many vCPUs, of the slots at most.
Machines aren't reclaimed here: a live cluster of Spot instances would lose values and go on.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from dask.typing import Key

from benchmarks.simulate.instances import sizes_for
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.world import Outcome, Workload, World

#: "Every task comes with some overhead. This is somewhere between 200us and 1ms"
#: (https://docs.dask.org/en/stable/best-practices.html): what the one scheduler does for a task.
SCHEDULER_SECONDS = 0.0005
#: "My experience is that this still takes something like 60s", of a worker in Fargate's optimal
#: conditions (https://github.com/dask/dask-cloudprovider/issues/66; "1-4 minutes" for a VM, then
#: "10 seconds - 10 minutes" to pull an image: the world's own numbers for EC2 are in that range).
FARGATE_SECONDS = 60.0
#: vCPUs of a Fargate worker by default (cloudprovider.yaml: `worker_cpu: 4096`).
FARGATE_VCPUS = 4
#: Tasks at once, and then a second (https://docs.aws.amazon.com/AmazonECS/latest/userguide/
#: throttling.html).
FARGATE_BURST, FARGATE_RATE = 100, 20.0
SCHEDULER_VCPUS = 2


@dataclass(frozen=True)
class Machine:
    """A worker's machine: paid from `launched`, and working from `ready` on."""

    vcpus: int
    launched: float
    ready: float


def run_dask_on_ec2(workload: Workload, world: World) -> Outcome:
    """Start a scheduler and workers on instances like Batch's, as `EC2Cluster` does.

    That it installs Docker on each (`bootstrap: true`) isn't counted: it is given an AMI with it.
    """
    numbers, chance = world.numbers, random.Random(world.seed)

    def start() -> float:
        boot = chance.triangular(numbers.boot_shortest, numbers.boot_longest, numbers.boot_usual)
        pull = numbers.image_bytes / numbers.pull_rate
        return boot + pull + numbers.container_start + numbers.python_start

    scheduler = Machine(SCHEDULER_VCPUS, 0.0, start())
    begin = scheduler.ready
    wide = _vcpus(workload, world)
    workers = [Machine(size, begin, begin + start()) for size in sizes_for(wide, numbers)]
    return _Cluster(workload, world, scheduler, workers).run()


def run_dask_on_fargate(workload: Workload, world: World) -> Outcome:
    """Start a scheduler and workers of four vCPUs on Fargate, as `FargateCluster` does."""
    begin = FARGATE_SECONDS
    workers = []
    for number in range(-(-_vcpus(workload, world) // FARGATE_VCPUS)):
        launched = begin + max(0.0, (number - FARGATE_BURST) / FARGATE_RATE)
        workers.append(Machine(FARGATE_VCPUS, launched, launched + FARGATE_SECONDS))
    return _Cluster(workload, world, Machine(1, 0.0, begin), workers).run()


def _vcpus(workload: Workload, world: World) -> int:
    widest = max(len(level) for level in Shape(workload, world.numbers).levels())
    return min(widest, world.slots)


class _Cluster:
    """Workers that take the next task, by depth-first order, whenever one of their slots is free.

    A task goes where its largest input is if that has a free slot, else anywhere; what it reads
    from elsewhere moves over the network first.
    """

    def __init__(
        self, workload: Workload, world: World, scheduler: Machine, workers: list[Machine]
    ) -> None:
        self._work = workload
        self._numbers: Numbers = world.numbers
        self._machines = [scheduler, *workers]
        self._shape = Shape(workload, world.numbers)
        order = self._shape.order()
        self._rank = {key: number for number, key in enumerate(order)}
        self._order = order
        self._missing = {key: len(read) for key, read in self._shape.inputs.items()}
        self._readers: dict[Key, list[Key]] = {}
        for key, read in self._shape.inputs.items():
            for one in read:
                self._readers.setdefault(one, []).append(key)
        self._place: dict[Key, int] = {}
        self._ready = [self._rank[key] for key in order if not self._missing[key]]
        heapify(self._ready)
        # The free slots of each machine that has any; ordered, as many come and go.
        self._idle: OrderedDict[int, int] = OrderedDict()
        self._free_at = scheduler.ready + self._upload()  # when the scheduler can do a thing
        self._moved = 0
        self._used = 0.0

    def run(self) -> Outcome:
        """Let all tasks run, and sum up."""
        events = [(machine.ready, 0, n) for n, machine in enumerate(self._machines) if n]
        heapify(events)
        left = len(self._order)
        now = 0.0
        while left:
            now, rank, number = heappop(events)
            if now >= self._machines[number].ready and rank == 0:
                self._idle[number] = self._machines[number].vcpus
            else:
                left -= 1
                self._idle[number] = self._idle.get(number, 0) + 1
                self._finish(self._order[rank - 1])
            self._assign(now, events)
        now += self._numbers.client_latency
        paid = sum(
            machine.vcpus * max(self._numbers.billed_at_least, now - machine.launched)
            for machine in self._machines
        )
        reads = self._work.reads
        requests = {"get": len(reads)}
        nbytes = {"read": sum(reads.values()), "written": 0}
        tasks = len(self._order)
        return Outcome(now, paid, self._used, 0, 0, requests, nbytes, tasks)

    def _upload(self) -> float:
        return sum(self._shape.given.values()) / self._numbers.client_up

    def _assign(self, now: float, events: list[tuple[float, int, int]]) -> None:
        while self._ready and self._idle:
            rank = heappop(self._ready)
            key = self._order[rank]
            number = self._where(key)
            self._idle[number] -= 1
            if not self._idle[number]:
                del self._idle[number]
            self._place[key] = number
            # The scheduler does one thing after the other.
            self._free_at = max(self._free_at, now) + SCHEDULER_SECONDS
            seconds = self._shape.seconds(key)
            self._used += self._work.seconds[key]
            end = self._free_at + self._fetch(key, number) + seconds
            heappush(events, (end, rank + 1, number))

    def _where(self, key: Key) -> int:
        read = self._shape.inputs[key]
        if read:
            largest = max(read, key=lambda one: self._work.nbytes[one])
            if self._place[largest] in self._idle:
                return self._place[largest]
        return next(iter(self._idle))

    def _fetch(self, key: Key, number: int) -> float:
        away = [one for one in self._shape.inputs[key] if self._place[one] != number]
        nbytes = sum(self._work.nbytes[one] for one in away)
        self._moved += nbytes
        return nbytes / self._numbers.job_rate

    def _finish(self, key: Key) -> None:
        for reader in self._readers.get(key, ()):
            self._missing[reader] -= 1
            if not self._missing[reader]:
                heappush(self._ready, self._rank[reader])
