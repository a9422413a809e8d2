"""A Batch client that writes down its calls, checks them as botocore does, and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dask_knot.batch.rules import is_called
from dask_knot.local.schema import check_parameters

Request = Mapping[str, Any]


class RecordingBatch:
    """Answers the calls of boto3's Batch client.

    Attributes
    ----------
    calls : list of (str, mapping)
        Every operation that was asked for, and its parameters.
    details : dict of str to dict
        What `describe_jobs` says, by job id.
    page : int
        How many jobs `list_jobs` names at once.
    definitions : dict of str to str
        The ARNs of job definitions that are registered, by name.
    environment : dict
        What is said of the one compute environment.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Request]] = []
        self.details: dict[str, dict[str, Any]] = {}
        self.page = 1000
        self.definitions: dict[str, str] = {}
        self.environment: dict[str, Any] = {
            "computeEnvironmentName": "environment",
            "computeEnvironmentArn": "arn:environment",
            "state": "ENABLED",
            "status": "VALID",
            "computeResources": {"type": "EC2", "maxvCpus": 16, "desiredvCpus": 2},
        }
        self.refusal: Exception | None = None

    def requests(self, operation: str) -> list[Request]:
        """Give the parameters of all calls of one kind."""
        return [parameters for name, parameters in self.calls if name == operation]

    def register_job_definition(self, **request: Any) -> Request:
        self._note("RegisterJobDefinition", request)
        number = len(self.requests("RegisterJobDefinition"))
        arn = f"arn:aws:batch:::job-definition/{number}:1"
        self.definitions[request["jobDefinitionName"]] = arn
        return {"jobDefinitionArn": arn}

    def describe_job_definitions(self, **request: Any) -> Request:
        self._note("DescribeJobDefinitions", request)
        arn = self.definitions.get(request["jobDefinitionName"])
        return {"jobDefinitions": [] if arn is None else [{"jobDefinitionArn": arn}]}

    def describe_job_queues(self, *, jobQueues: Sequence[str]) -> Request:
        self._note("DescribeJobQueues", {"jobQueues": list(jobQueues)})
        order = [{"order": 1, "computeEnvironment": "arn:environment"}]
        names = {"jobQueueName": jobQueues[0], "state": "ENABLED", "status": "VALID"}
        return {"jobQueues": [{**names, "computeEnvironmentOrder": order}]}

    def describe_compute_environments(self, *, computeEnvironments: Sequence[str]) -> Request:
        asked = list(computeEnvironments)
        self._note("DescribeComputeEnvironments", {"computeEnvironments": asked})
        return {"computeEnvironments": [self.environment]}

    def submit_job(self, **request: Any) -> Request:
        self._note("SubmitJob", request)
        if self.refusal is not None:
            raise self.refusal
        job_id = f"job-{len(self.requests('SubmitJob'))}"
        array = dict(request["arrayProperties"]) if "arrayProperties" in request else None
        self.details[job_id] = {"jobId": job_id, "status": "SUBMITTED"}
        if array:
            self.details[job_id]["arrayProperties"] = array
        return {"jobId": job_id, "jobName": request["jobName"]}

    def describe_jobs(self, *, jobs: Sequence[str]) -> Request:
        self._note("DescribeJobs", {"jobs": list(jobs)})
        assert 0 < len(jobs) <= 100
        return {"jobs": [self.details[id] for id in jobs if id in self.details]}

    def list_jobs(self, **request: Any) -> Request:
        self._note("ListJobs", request)
        if "filters" in request:
            return self._page([*self._called(request["filters"][0]["values"])], request)
        prefix = f"{request['arrayJobId']}:"
        found = [
            {
                "jobId": id,
                "arrayProperties": detail["arrayProperties"],
                "statusReason": detail.get("statusReason", ""),
            }
            for id, detail in self.details.items()
            if id.startswith(prefix) and detail["status"] == request["jobStatus"]
        ]
        return self._page(found, request)

    def _called(self, patterns: Sequence[str]) -> Iterator[dict[str, Any]]:
        for number, request in enumerate(self.requests("SubmitJob"), start=1):
            if is_called(request["jobName"], patterns) and f"job-{number}" in self.details:
                detail = self.details[f"job-{number}"]
                yield {"jobName": request["jobName"], "createdAt": 1000 * number, **detail}

    def _page(self, found: Sequence[dict[str, Any]], request: Request) -> Request:
        start = int(request.get("nextToken", 0))
        page: dict[str, Any] = {"jobSummaryList": found[start : start + self.page]}
        if start + self.page < len(found):
            page["nextToken"] = str(start + self.page)
        return page

    def terminate_job(self, *, jobId: str, reason: str) -> Request:
        self._note("TerminateJob", {"jobId": jobId, "reason": reason})
        return {}

    def fail_child(self, parent: str, index: int, **detail: Any) -> None:
        """Let a child of an array fail."""
        self.details[f"{parent}:{index}"] = {
            "jobId": f"{parent}:{index}",
            "status": "FAILED",
            "arrayProperties": {"index": index},
            "container": {"exitCode": 1},
        } | detail
        summary = self.details[parent]["arrayProperties"].setdefault("statusSummary", {})
        summary["FAILED"] = summary.get("FAILED", 0) + 1

    def _note(self, operation: str, request: Request) -> None:
        check_parameters(operation, request)
        self.calls.append((operation, request))
