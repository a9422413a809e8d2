"""The simulated Batch, as a session calls it: boto3's calls, answered from a fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.simulate.api import Api
from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.jobs import FAILED, HELD, SUCCEEDED, Array, Child, Program
from benchmarks.simulate.laptop import Meter
from dask_knot.batch.limits import LISTED_JOBS
from dask_knot.batch.rules import DEPENDENCY_FAILED, Wait, is_called, roll_up, status_summary

Answer = Mapping[str, Any]
#: Makes the program of a child: from the command of its job, and its index.
Programs = Callable[[Sequence[str], int], Program]


@dataclass(slots=True, eq=False)
class Job:
    """What was submitted at once.

    `whole` counts the jobs that it waits for; `pairs` for each child those of which it waits for
    the child with its own index. `readers` wait for this one. `doomed` are the children that never
    start, because what they wait for has failed before they came.
    """

    id: str
    name: str
    array: Array
    whole: int = 0
    pairs: list[int] = field(default_factory=list)
    readers: list[tuple[Wait, Job]] = field(default_factory=list)
    doomed: set[int] = field(default_factory=set)
    has_arrived: bool = False


class SimulatedBatch:
    """Answers what a session asks of Batch; every call takes its time.

    Parameters
    ----------
    fleet : Fleet
        Runs the children.
    api : Api
        Counts calls.
    meter : Meter
        The client's.
    programs : callable
        Makes what children run.
    """

    def __init__(self, fleet: Fleet, api: Api, meter: Meter, programs: Programs) -> None:
        self._fleet = fleet
        self._api = api
        self._meter = meter
        self._programs = programs
        self._jobs: dict[str, Job] = {}
        self._definitions: dict[str, str] = {}

    # The calls.

    def describe_job_definitions(self, **request: Any) -> Answer:
        self._call("DescribeJobDefinitions")
        arn = self._definitions.get(request["jobDefinitionName"])
        return {"jobDefinitions": [] if arn is None else [{"jobDefinitionArn": arn}]}

    def register_job_definition(self, **request: Any) -> Answer:
        self._call("RegisterJobDefinition")
        arn = f"arn:{len(self._definitions)}"
        self._definitions[request["jobDefinitionName"]] = arn
        return {"jobDefinitionArn": arn}

    def submit_job(self, **request: Any) -> Answer:
        self._call("SubmitJob")
        size = request.get("arrayProperties", {}).get("size", 1)
        command = request["containerOverrides"]["command"]
        id = f"job-{len(self._jobs) + 1}"
        ended = partial(self._child_ended, id)
        programs = partial(self._programs, command)
        array = self._fleet.submit(size, programs, ended, held=True)
        job = self._jobs[id] = Job(id, request["jobName"], array, pairs=[0] * size)
        for dependency in request.get("dependsOn", ()):
            self._wait(job, self._jobs[dependency["jobId"]], Wait(dependency.get("type")))
        self._fleet.clock.call_later(self._meter.seconds, self._arrive, job)
        return {"jobId": id, "jobName": job.name}

    def describe_jobs(self, *, jobs: Sequence[str]) -> Answer:
        self._call("DescribeJobs")
        return {"jobs": [self._describe(id) for id in jobs if id.partition(":")[0] in self._jobs]}

    def list_jobs(self, **request: Any) -> Answer:
        self._call("ListJobs")
        found = list(self._called(request) if "filters" in request else self._children(request))
        start = int(request.get("nextToken", 0))
        page = {"jobSummaryList": found[start : start + LISTED_JOBS]}
        more = {"nextToken": str(start + LISTED_JOBS)}
        return page | more if start + LISTED_JOBS < len(found) else page

    def terminate_job(self, *, jobId: str, reason: str) -> Answer:
        self._call("TerminateJob")
        array, children = self._find(jobId)
        self._fleet.terminate(array, reason, children)
        return {}

    def describe_job_queues(self, *, jobQueues: Sequence[str]) -> Answer:
        self._call("DescribeJobQueues")
        order = [{"order": 1, "computeEnvironment": "environment"}]
        one = {"jobQueueName": jobQueues[0], "state": "ENABLED", "status": "VALID"}
        return {"jobQueues": [{**one, "computeEnvironmentOrder": order}]}

    def describe_compute_environments(self, *, computeEnvironments: Sequence[str]) -> Answer:
        self._call("DescribeComputeEnvironments")
        most = self._fleet.world.slots
        resources = {"type": "EC2", "maxvCpus": most, "desiredvCpus": most}
        one = {"computeEnvironmentArn": "environment", "state": "ENABLED", "status": "VALID"}
        return {"computeEnvironments": [{**one, "computeResources": resources}]}

    # What it takes, and what it says.

    def _call(self, operation: str) -> None:
        self._meter.spend(self._api.call(operation, self._meter.seconds) - self._meter.seconds)

    def _find(self, id: str) -> tuple[Array, list[Child]]:
        parent, _, index = id.partition(":")
        array = self._jobs[parent].array
        return array, [array.children[int(index)]] if index else array.children

    def _describe(self, id: str) -> Answer:
        array, children = self._find(id)
        if ":" in id or len(children) == 1:
            detail = {"container": {}, **_summary(id, children[0])}
            return detail
        status = roll_up(array.counts)
        size = {"size": len(children), "statusSummary": status_summary(array.counts)}
        return {"jobId": id, "status": status.value, "arrayProperties": size}

    def _children(self, request: Answer) -> Iterator[Answer]:
        id = request["arrayJobId"]
        for child in self._jobs[id].array.children:
            if child.status.value == request["jobStatus"]:
                yield _summary(f"{id}:{child.index}", child)

    def _called(self, request: Answer) -> Iterator[Answer]:
        for job in self._jobs.values():
            if is_called(job.name, request["filters"][0]["values"]):
                status = roll_up(job.array.counts).value
                yield {"jobId": job.id, "jobName": job.name, "status": status, "createdAt": 0}

    # Dependencies.

    def _wait(self, job: Job, upstream: Job, wait: Wait) -> None:
        """Let a job wait for what hasn't ended yet of another one."""
        array = upstream.array
        if wait is Wait.N_TO_N:
            for child in array.children:
                job.pairs[child.index] += child.status is not SUCCEEDED
                job.doomed |= {child.index} if child.status is FAILED else set()
        else:
            job.whole += not array.is_over
            if array.is_over and array.counts[FAILED]:
                job.doomed |= set(range(len(job.array.children)))
        upstream.readers.append((wait, job))

    def _arrive(self, job: Job) -> None:
        """Take in a job: what waits for nothing may start, and what never may fails."""
        job.has_arrived = True
        self._pass_on(job, sorted(job.doomed), is_well=False)
        self._release(job, range(len(job.array.children)), after=0.0)

    def _release(self, job: Job, indices: Iterable[int], after: float | None = None) -> None:
        if job.has_arrived and not job.whole:
            ready = [index for index in indices if not job.pairs[index]]
            self._fleet.release(job.array, ready, after)

    def _child_ended(self, id: str, index: int, is_well: bool) -> None:
        job = self._jobs[id]
        for wait, reader in job.readers:
            if wait is Wait.N_TO_N:
                self._pass_on(reader, [index], is_well, pair=True)
            elif job.array.is_over:
                everything = range(len(reader.array.children))
                self._pass_on(reader, everything, not job.array.counts[FAILED])

    def _pass_on(self, job: Job, indices: Sequence[int], is_well: bool, pair: bool = False) -> None:
        """Note that what children wait for has ended; if not well, they never start."""
        if not is_well:
            for child in [job.array.children[index] for index in indices]:
                if child.status is HELD:
                    self._fleet.fail(child, DEPENDENCY_FAILED)
            return
        if pair:
            for index in indices:
                job.pairs[index] -= 1
        else:
            job.whole -= 1
        self._release(job, indices)


def _summary(id: str, child: Child) -> dict[str, Any]:
    told = {"jobId": id, "status": child.status.value, "statusReason": child.reason}
    return told | {"arrayProperties": {"index": child.index}} if ":" in id else told
