"""How others send work to Batch: a job per element, an array per level, and Lithops' chunks.

None of them knows or asks how long a task takes. Where a rule says nothing, they are given the
best: values that a task reads come straight from S3, in ranges, several at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dask.typing import Key

from benchmarks.simulate.api import Api
from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.jobs import Array, Phases
from benchmarks.simulate.network import Traffic, read_seconds, write_seconds
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.timeline import Timeline
from benchmarks.simulate.world import Outcome, Workload, World

#: Children of one array job at most.
ARRAY_SIZE = 10_000
#: Seconds between two looks of `cloudknot.BatchJob.result` (its `time.sleep(5)`).
CLOUDKNOT_LOOKS = 5.0
#: Seconds between two looks of Lithops' monitor (its `monitoring_interval`).
LITHOPS_LOOKS = 2.0
MOST_LISTED = 1_000
#: Seconds that a page takes from a laptop.
LIST_SECONDS = 0.1


def run_job_per_element(workload: Workload, world: World) -> Outcome:
    """Run every task as a job of its own, as Cloudknot does.

    `Knot.map` submits one array of a child for each element (of 10,000 at most: a longer map is
    several), then puts the whole input as one object; every child reads all of it and takes its
    own part; its result is one object; the client asks for the state every 5 seconds
    (https://github.com/nrdg/cloudknot: aws/batch.py, templates/script.template).

    Cloudknot knows no dependencies. A graph is a map for each of its levels, one after the other
    as the client sees the one before end; values stay in S3, as its paper does with data. A child
    that comes before the input waits for it: Cloudknot's own would fail.
    """
    return _Submission(workload, world, _Cloudknot(CLOUDKNOT_LOOKS)).run()


def run_array_per_level(workload: Workload, world: World) -> Outcome:
    """Run every level of the graph as an array of a child for each task, submitted all at once.

    Each array depends on the one before (`dependsOn`), a child reads only its own task and the
    values that it needs, and the client looks only for the end: what a careful user writes by hand.
    """
    return _Submission(workload, world, _Levels(CLOUDKNOT_LOOKS)).run()


def run_lithops(workload: Workload, world: World) -> Outcome:
    """Run chunks of neighbors, as Lithops does on AWS Batch.

    A worker gets `chunksize` elements, which is `worker_processes` and so 1, but no more workers
    are started than there are vCPUs: then chunks are larger, ranges of the input, and a worker
    runs them one by one (https://github.com/lithops-cloud/lithops: AWSBatchBackend.invoke,
    worker_granularity.rst). The input is one object of which a worker reads its range; each call
    puts a status and a result; the client lists them every 2 seconds. It knows no dependencies:
    a map for each level. Its limit of 180 seconds a job is not applied.
    """
    return _Submission(workload, world, _Lithops(LITHOPS_LOOKS)).run()


@dataclass(frozen=True)
class _Rule:
    """What tells peers apart; `looks` is the seconds between two looks of the client."""

    looks: float
    #: Whether every level is submitted before the one before has ended.
    is_ahead = False
    #: Objects of each task's outcome.
    puts = 1

    def chunks(self, tasks: Sequence[Key], slots: int) -> list[Sequence[Key]]:
        """Say which tasks a job runs."""
        return [[task] for task in tasks]

    def downloads(self, given: Sequence[int], whole: int) -> int:
        """Give the bytes of the input that a job reads."""
        return sum(given)

    def look(self, traffic: Traffic, api: Api, done: int) -> float:
        """Count one look of the client; give how long it takes."""
        return api.call("DescribeJobs")


class _Cloudknot(_Rule):
    def downloads(self, given: Sequence[int], whole: int) -> int:
        return whole


class _Levels(_Rule):
    is_ahead = True


class _Lithops(_Rule):
    puts = 2

    def chunks(self, tasks: Sequence[Key], slots: int) -> list[Sequence[Key]]:
        size = -(-len(tasks) // slots)
        return [tasks[first : first + size] for first in range(0, len(tasks), size)]

    def look(self, traffic: Traffic, api: Api, done: int) -> float:
        # One page of names for each thousand that is done.
        pages = 1 + done // MOST_LISTED
        traffic.requests["list"] += pages
        return pages * LIST_SECONDS


class _Submission:
    """One run of a workload by one rule: level after level, each as one array or several."""

    def __init__(self, workload: Workload, world: World, rule: _Rule) -> None:
        self._shape = Shape(workload, world.numbers)
        self._workload = workload
        self._world = world
        self._rule = rule
        self._clock = Timeline()
        self._fleet = Fleet(world, self._clock)
        self._api = Api(world.numbers, self._clock)
        self._traffic = Traffic()
        self._levels = self._shape.levels()
        self._done = 0  # tasks whose jobs have ended
        self._tasks = 0
        self._ends: float | None = None

    def run(self) -> Outcome:
        """Let it happen, and sum up."""
        if self._rule.is_ahead:
            held = [self._level(number, held=number > 0) for number in range(len(self._levels))]
            self._chain(held)
        else:
            self._next(0)
        self._clock.run(lambda: self._ends is not None)
        assert self._ends is not None, "not all jobs ended"
        return Outcome(
            makespan=self._ends,
            vcpu_seconds_paid=self._fleet.paid(),
            vcpu_seconds_used=self._fleet.used,
            jobs=self._fleet.jobs,
            api_calls=self._api.calls.total(),
            requests=dict(self._traffic.requests),
            nbytes=dict(self._traffic.nbytes),
            tasks=self._tasks,
        )

    # Levels.

    def _next(self, number: int) -> None:
        """Submit a level, and the next one when the client sees that this one is over."""
        arrays = self._level(number, held=False)
        self._look(arrays, number)

    def _look(self, arrays: list[_Part], number: int) -> None:
        if not all(one.is_over for one in arrays):
            wait = self._rule.looks + self._rule.look(self._traffic, self._api, self._done)
            self._clock.call_later(wait, self._look, arrays, number)
        elif number + 1 == len(self._levels):
            self._ends = self._clock.time()
        else:
            self._next(number + 1)

    def _chain(self, levels: list[list[_Part]]) -> None:
        """Release each level when Batch has seen the one before end."""
        for before, after in pairwise(levels):
            for part in before:
                part.then = (before, after)
        self._look([part for level in levels for part in level], len(levels) - 1)

    def _level(self, number: int, held: bool) -> list[_Part]:
        tasks = self._levels[number]
        chunks = self._rule.chunks(tasks, self._world.slots)
        whole = sum(map(self._shape.given.__getitem__, tasks))
        upload = self._world.numbers.client_latency + whole / self._world.numbers.client_up
        self._traffic.put(whole)
        parts = []
        for first in range(0, len(chunks), ARRAY_SIZE):
            part = _Part(self, chunks[first : first + ARRAY_SIZE], whole, held)
            # The input is put after the array is submitted, because its name is the array's.
            part.there = self._clock.time() + upload + self._api.call("SubmitJob")
            self._clock.call_later(part.there - self._clock.time() - upload, part.submit)
            parts.append(part)
        return parts

    # Children.

    def phases(self, tasks: Sequence[Key], whole: int, there: float) -> Phases:
        """Say what a child does, and count its traffic."""
        numbers, shape, work = self._world.numbers, self._shape, self._workload
        late = max(0.0, there - self._clock.time())
        given = self._rule.downloads([shape.given[key] for key in tasks], whole)
        inputs = list(dict.fromkeys(one for key in tasks for one in shape.inputs[key]))
        sizes = sum(work.nbytes[one] for one in inputs)
        made = sum(work.nbytes[key] for key in tasks)
        # What tasks read from S3 themselves: one request each, one task after the other.
        own = [work.reads[key] for key in tasks if key in work.reads]
        read = late + read_seconds(numbers, given) + read_seconds(numbers, sizes, len(inputs))
        read += sum(read_seconds(numbers, nbytes) for nbytes in own)
        self._traffic.get(given + sizes + sum(own), 1 + len(inputs) + len(own))
        self._traffic.put(made, self._rule.puts * len(tasks))
        self._tasks += len(tasks)
        run = sum(work.seconds[key] + numbers.task_overhead for key in tasks)
        return Phases(read, run, write_seconds(numbers, made, self._rule.puts * len(tasks)))

    def ended(self, part: _Part, index: int, is_ok: bool) -> None:
        """Take the end of a child."""
        assert is_ok, "a machine was lost three times under one child"
        self._done += len(part.chunks[index])
        if part.then is not None and all(one.is_over for one in part.then[0]):
            for after in part.then[1]:
                after.release()

    def submit(self, part: _Part) -> Array:
        """Hand an array to Batch."""

        def program(index: int) -> Phases:
            return self.phases(part.chunks[index], part.whole, part.there)

        def ended(index: int, is_ok: bool) -> None:
            self.ended(part, index, is_ok)

        return self._fleet.submit(len(part.chunks), program, ended, held=part.is_held)

    def release(self, array: Array) -> None:
        """Let an array run."""
        self._fleet.release(array)


class _Part:
    """One array of a level.

    `there` is when its input is in the store; `then` are the arrays of its level, and those of
    the next one, which are held until all of these have ended.
    """

    def __init__(
        self, submission: _Submission, chunks: list[Sequence[Key]], whole: int, is_held: bool
    ) -> None:
        self.chunks = chunks
        self.whole = whole
        self.is_held = is_held
        self.there = 0.0
        self.then: tuple[list[_Part], list[_Part]] | None = None
        self._submission = submission
        self._array: Array | None = None
        self._is_released = False

    @property
    def is_over(self) -> bool:
        """Whether all its children have ended."""
        return self._array is not None and self._array.is_over

    def submit(self) -> None:
        """Be submitted."""
        self._array = self._submission.submit(self)
        if self._is_released:
            self._submission.release(self._array)

    def release(self) -> None:
        """Wait for nothing more."""
        self._is_released = True
        if self._array is not None:
            self._submission.release(self._array)
