"""A job queue and its compute environment: children wait, get a slot of an instance, and run.

Batch looks every so often at what waits, and launches instances for it, up to the slots of the
world; it starts children in the order in which they came, at a finite rate; an instance on which
nothing runs for a while ends. Dependencies are the business of whoever submits: what is held waits
until it is released.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from benchmarks.simulate.instances import Instance, sizes_for
from benchmarks.simulate.jobs import (
    FAILED,
    HELD,
    RUNNABLE,
    RUNNING,
    STARTING,
    SUCCEEDED,
    Array,
    Child,
    Ended,
    Programs,
)
from benchmarks.simulate.timeline import Clock
from benchmarks.simulate.world import World
from dask_knot.batch.rules import ENDED, JobStatus

#: What Batch says of a child whose machine is gone.
HOST_LOST = "Host EC2 (instance i-{}) terminated."


class Fleet:
    """A queue and its compute environment.

    Parameters
    ----------
    world : World
        How large and how fast it is.
    clock : Clock
        The one clock of the simulation.
    vcpus : int
        Of each job.

    Attributes
    ----------
    instances : list of Instance
        All that there were.
    jobs : int
        Children that have started, each counted once.
    used : float
        vCPU-seconds of tasks; programs add to it.
    """

    def __init__(self, world: World, clock: Clock, vcpus: int = 1) -> None:
        self.world = world
        self.clock = clock
        self.instances: list[Instance] = []
        self.jobs = 0
        self.used = 0.0
        self._vcpus = vcpus
        self._numbers = world.numbers
        self._chance = random.Random(world.seed)
        self._waiting: deque[Child] = deque()
        self._runnable = 0  # of those that wait: others were terminated
        self._ready: dict[Instance, None] = {}  # those that have booted, the oldest first
        self._alive = 0  # vCPUs of instances, those that boot included
        self._is_scaling = False
        self._next_start = 0.0  # when the queue may start one more child
        self._is_dispatching = False

    # What whoever submits calls.

    def submit(
        self, size: int, programs: Programs, ended: Ended | None = None, held: bool = False
    ) -> Array:
        """Submit so many children; those that are held wait for `release`."""
        array = Array(self, size, programs, ended)
        if not held:
            self._make_runnable(array.children)
        return array

    def release(
        self, array: Array, indices: Iterable[int] | None = None, after: float | None = None
    ) -> None:
        """Note that what children depend on has ended: they are RUNNABLE a while later."""
        wanted = range(len(array.children)) if indices is None else indices
        children = [array.children[index] for index in wanted]
        seconds = self._numbers.dependency if after is None else after
        self.clock.call_later(seconds, self._make_runnable, children)

    def terminate(
        self, array: Array, reason: str = "terminated", children: Iterable[Child] | None = None
    ) -> None:
        """End those children that haven't: all, if none are named."""
        for child in list(array.children if children is None else children):
            if child.status in (STARTING, RUNNING):
                self._stop(child)
                self.leave(child, reason)
            elif child.status not in ENDED:
                self.fail(child, reason)

    def fail(self, child: Child, reason: str) -> None:
        """End a child that never started."""
        if child.status is RUNNABLE:
            self._runnable -= 1
        child.reason = reason
        self._end(child, FAILED)

    def paid(self) -> float:
        """Give the vCPU-seconds that are paid if nothing more comes: idle instances end later."""
        idle = self._numbers.idle_longest
        now = self.clock.time()
        return sum(
            one.paid(self._numbers, one.idle_since + idle if one.is_idle else now + idle)
            for one in self.instances
        )

    # Starts.

    def _make_runnable(self, children: Iterable[Child]) -> None:
        for child in children:
            if child.status is HELD:
                child.move(RUNNABLE)
                self._waiting.append(child)
                self._runnable += 1
        self._look_later()
        self._dispatch_later()

    def _dispatch_later(self) -> None:
        if self._is_dispatching or not self._runnable or not self._ready:
            return
        self._is_dispatching = True
        self.clock.call_later(max(0.0, self._next_start - self.clock.time()), self._dispatch)

    def _dispatch(self) -> None:
        self._is_dispatching = False
        instance = next((one for one in self._ready if one.free >= self._vcpus), None)
        if instance is None:
            return
        while self._waiting:
            child = self._waiting.popleft()
            if child.status is RUNNABLE:
                self._place(child, instance)
                self._next_start = self.clock.time() + 1.0 / self._numbers.dispatch_rate
                break
        self._dispatch_later()

    def _place(self, child: Child, instance: Instance) -> None:
        numbers = self._numbers
        self._runnable -= 1
        instance.free -= self._vcpus
        if instance.free < self._vcpus:
            del self._ready[instance]
        instance.children[child] = None
        child.instance = instance
        child.move(STARTING)
        placed = numbers.placement
        pulled = instance.pull_image(numbers, self.clock.time() + placed)
        begin = placed + pulled + numbers.container_start + numbers.python_start
        self.clock.call_later(begin, self._start, child, child.attempt)

    def _start(self, child: Child, attempt: int) -> None:
        if child.status is not STARTING or child.attempt != attempt or child.is_ending:
            return
        child.move(RUNNING)
        self.jobs += not child.has_run
        child.has_run = True
        child.program = child.array.programs(child.index)
        child.program.start(child)

    # Ends.

    def leave(self, child: Child, reason: str) -> None:
        """Take the end of a process: Batch notes it, and frees the slot, a while later."""
        if not child.is_ending:
            child.is_ending = True
            child.program = None
            self.clock.call_later(self._numbers.container_end, self._note_end, child, reason)

    def _note_end(self, child: Child, reason: str) -> None:
        self._free(child)
        child.reason = reason
        self._end(child, FAILED if reason else SUCCEEDED)

    def _free(self, child: Child) -> None:
        instance = child.instance
        assert instance is not None
        child.instance = None
        del instance.children[child]
        instance.free += self._vcpus
        if instance.ended is None:
            self._ready.setdefault(instance)
            if instance.is_idle:
                instance.idle_since = now = self.clock.time()
                self.clock.call_later(self._numbers.idle_longest, self._retire, instance, now)
            self._dispatch_later()

    def _end(self, child: Child, status: JobStatus) -> None:
        child.move(status)
        child.program = None
        if child.array.ended is not None:
            child.array.ended(child.index, status is SUCCEEDED)

    def _stop(self, child: Child) -> None:
        if child.program is not None:
            child.program.stop(child)

    # Instances.

    def _look_later(self) -> None:
        if not self._is_scaling and self._runnable:
            self._is_scaling = True
            self.clock.call_later(self._numbers.scaling_interval, self._scale)

    def _scale(self) -> None:
        """Launch what is missing for all children that wait."""
        self._is_scaling = False
        taken = sum(one.vcpus - one.free for one in self.instances if one.ended is None)
        room = self._alive - taken
        most = self.world.slots * self._vcpus - self._alive
        for size in sizes_for(min(self._runnable * self._vcpus - room, most), self._numbers):
            self._launch(size)
        self._look_later()

    def _launch(self, size: int) -> None:
        numbers, now = self._numbers, self.clock.time()
        instance = Instance(len(self.instances), size, now, size, idle_since=now)
        self.instances.append(instance)
        self._alive += size
        boot = self._chance.triangular(
            numbers.boot_shortest, numbers.boot_longest, numbers.boot_usual
        )
        self.clock.call_later(boot, self._open, instance)
        if self.world.spot and numbers.reclaims:
            hours = self._chance.expovariate(numbers.reclaims)
            self.clock.call_later(3600.0 * hours, self._reclaim, instance)

    def _open(self, instance: Instance) -> None:
        if instance.ended is None:
            self._ready[instance] = None
            instance.idle_since = now = self.clock.time()
            self.clock.call_later(self._numbers.idle_longest, self._retire, instance, now)
            self._dispatch_later()

    def _retire(self, instance: Instance, since: float) -> None:
        """End an instance on which nothing has run for a while, unless somebody waits for it."""
        if instance.idle_since != since or not instance.is_idle or instance.ended is not None:
            return
        if self._runnable:
            instance.idle_since = now = self.clock.time()
            # Where none ever stays idle, too, what waits is placed a moment later.
            pause = max(self._numbers.idle_longest, self._numbers.scaling_interval)
            self.clock.call_later(pause, self._retire, instance, now)
        else:
            self._end_instance(instance)

    def _reclaim(self, instance: Instance) -> None:
        """Take an instance away, with all that runs on it: children start again elsewhere."""
        if instance.ended is not None:
            return
        self._end_instance(instance)
        for child in [one for one in instance.children if not one.is_ending]:
            self._stop(child)
            self._free(child)
            if child.attempt < self._numbers.attempts:
                child.attempt += 1
                child.program = None
                child.move(HELD)
                self._make_runnable([child])
            else:
                child.reason = HOST_LOST.format(instance.number)
                self._end(child, FAILED)

    def _end_instance(self, instance: Instance) -> None:
        instance.ended = self.clock.time()
        self._alive -= instance.vcpus
        self._ready.pop(instance, None)
