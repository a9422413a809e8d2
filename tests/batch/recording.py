"""A Batch client that writes down its calls, checks them as botocore does, and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.batch.schema import check_parameters

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
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Request]] = []
        self.details: dict[str, dict[str, Any]] = {}
        self.page = 1000
        self.refusal: Exception | None = None

    def requests(self, operation: str) -> list[Request]:
        """Give the parameters of all calls of one kind."""
        return [parameters for name, parameters in self.calls if name == operation]

    def register_job_definition(self, **request: Any) -> Request:
        self._note("RegisterJobDefinition", request)
        return {"jobDefinitionArn": f"arn:aws:batch:::job-definition/{len(self.calls)}:1"}

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
        prefix = f"{request['arrayJobId']}:"
        found = [
            {"jobId": id, "arrayProperties": detail["arrayProperties"]}
            for id, detail in self.details.items()
            if id.startswith(prefix) and detail["status"] == request["jobStatus"]
        ]
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
