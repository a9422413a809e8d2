"""Job definitions and their revisions, and how a submission joins one with its overrides: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dask_knot.batch.limits import Parameters, override_characters
from dask_knot.batch.rules import RetryStrategy
from dask_knot.local.capacity import Capacity
from dask_knot.local.jobs import Submission

ARN = "arn:aws:batch:local:000000000000:"
_REFERENCE = "Ref::"


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """One revision of a job definition."""

    name: str
    revision: int
    request: Parameters

    @property
    def arn(self) -> str:
        """The name by which jobs refer to this revision."""
        return f"{ARN}job-definition/{self.name}:{self.revision}"

    @property
    def container(self) -> Parameters:
        """The ``containerProperties``."""
        container: Parameters = self.request["containerProperties"]
        return container


class JobDefinitions:
    """All revisions, the newest last."""

    def __init__(self) -> None:
        self._revisions: dict[str, list[JobDefinition]] = {}

    def register(self, parameters: Parameters) -> JobDefinition:
        """Add a revision."""
        name = parameters["jobDefinitionName"]
        revisions = self._revisions.setdefault(name, [])
        revisions.append(JobDefinition(name, len(revisions) + 1, parameters))
        return revisions[-1]

    def find(self, reference: str) -> JobDefinition | None:
        """Return what ``name`` (the newest revision), ``name:revision`` or an ARN stands for."""
        name, _, revision = reference.rpartition("/")[2].partition(":")
        revisions = self._revisions.get(name, [])
        if not revision:
            return revisions[-1] if revisions else None
        found = [one for one in revisions if str(one.revision) == revision]
        return found[0] if found else None

    def select(self, parameters: Parameters) -> list[JobDefinition]:
        """Return what a ``describe_job_definitions`` asks for, the newest revision first."""
        if parameters.get("status", "ACTIVE") != "ACTIVE":
            return []
        if "jobDefinitions" in parameters:
            found = (self.find(reference) for reference in parameters["jobDefinitions"])
            return [definition for definition in found if definition is not None]
        name = parameters.get("jobDefinitionName")
        names = self._revisions if name is None else [name]
        return [one for name in names for one in reversed(self._revisions.get(name, []))]


def needs_of(*containers: Parameters) -> Capacity | None:
    """Return the resources that containers ask for, later ones winning; None if any is missing."""
    values = {
        requirement["type"]: requirement["value"]
        for container in containers
        for requirement in container.get("resourceRequirements", ())
    }
    if not {"VCPU", "MEMORY"} <= values.keys():
        return None
    return Capacity(float(values["VCPU"]), int(values["MEMORY"]), int(values.get("GPU", 0)))


def join(
    definition: JobDefinition, parameters: Parameters, job_id: str, needs: Capacity, now: int
) -> Submission:
    """Return what a ``submit_job`` asks for: the definition where the request is silent."""
    container, overrides = definition.container, parameters.get("containerOverrides", {})
    substitutes = {**definition.request.get("parameters", {}), **parameters.get("parameters", {})}
    timeout = parameters.get("timeout", definition.request.get("timeout", {}))
    strategy = parameters.get("retryStrategy", definition.request.get("retryStrategy"))
    return Submission(
        job_id=job_id,
        name=parameters["jobName"],
        queue=parameters["jobQueue"].rpartition("/")[2],
        definition_arn=definition.arn,
        definition_name=definition.name,
        image=container.get("image", ""),
        command=_command(overrides.get("command") or container.get("command", ()), substitutes),
        environment={**_environment(container), **_environment(overrides)},
        needs=needs,
        retry=RetryStrategy.from_request(strategy),
        created_at=now,
        size=parameters.get("arrayProperties", {}).get("size"),
        timeout=timeout.get("attemptDurationSeconds"),
        override_characters=override_characters(parameters),
        parameters=substitutes,
        depends_on=tuple(parameters.get("dependsOn", ())),
    )


def _environment(container: Parameters) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container.get("environment", ())}


def _command(words: list[str], substitutes: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        substitutes.get(word[len(_REFERENCE) :], word) if word.startswith(_REFERENCE) else word
        for word in words
    )
