"""Job definitions: one for each resource class, which an earlier run may have registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_knot.batch.client import BatchClient
from dask_knot.batch.request import JobTemplate, job_definition
from dask_knot.planning import Resources


class Definitions:
    """Knows the job definitions of a template.

    Parameters
    ----------
    client : BatchClient
        Registers them.
    template : JobTemplate
        What the jobs have in common.
    """

    def __init__(self, client: BatchClient, template: JobTemplate) -> None:
        self._client = client
        self._template = template
        self._arns: dict[Resources, str] = {}

    def request(self, resources: Resources) -> dict[str, Any]:
        """Make the parameters of the ``register_job_definition`` call for a resource class.

        Raises
        ------
        ConfigurationError
            If the platform has no jobs of that size.
        """
        return job_definition(self._template, resources)

    def arn(self, resources: Resources) -> str:
        """Give the ARN of a definition; it is registered if it isn't there."""
        if resources not in self._arns:
            request = self.request(resources)
            known = self._client.describe_job_definitions(
                jobDefinitionName=request["jobDefinitionName"], status="ACTIVE"
            )["jobDefinitions"]
            found = known[0] if known else self._client.register_job_definition(**request)
            self._arns[resources] = str(found["jobDefinitionArn"])
        return self._arns[resources]

    def submit(self, resources: Resources, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Submit a job; with a new definition if somebody has deregistered the one it names."""
        try:
            return self._client.submit_job(**request)
        except Exception as error:  # botocore makes its exceptions as it goes
            if "definition" not in str(error).lower() or self._arns.pop(resources, None) is None:
                raise
            arn = self.arn(resources)
            if arn == request["jobDefinition"]:  # it is there: something else is wrong with it
                raise
            return self._client.submit_job(**{**request, "jobDefinition": arn})
