"""The attempts of jobs and children as Batch tells of them: when they ran, and on what.

It is asked only when somebody asks what jobs did cost: of an array that is a call for each hundred
children. What has ended is asked for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dask_knot.batch.client import BatchClient, describe_jobs
from dask_knot.batch.queues import Description
from dask_knot.batch.request import FARGATE as ON_FARGATE
from dask_knot.batch.rules import ENDED, STARTED, known_status
from dask_knot.planning.fargate import nearest
from dask_knot.run.machine import FARGATE, LIFECYCLES, UNKNOWN, Machine

#: Batch's names of architectures: those of manifests.
_ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64"}


class Stay(NamedTuple):
    """The time of one attempt.

    Attributes
    ----------
    number : int
        Which attempt, from 1.
    started, stopped : float, float or None
        Seconds since the epoch; None: it runs.
    instance : str
        The container instance that it ran on, if it was one.
    """

    number: int
    started: float
    stopped: float | None
    instance: str = ""


class Child(NamedTuple):
    """A job without children, or a child of an array: what it was given, and its attempts.

    Attributes
    ----------
    stays : sequence of Stay
        Those attempts that began.
    vcpus, memory, gpus : float, int, int
        What its container has; memory in MiB, on Fargate that of the step that it fills.
    machine : Machine
        As much as Batch knows without asking the machine: that it is Fargate.
    is_over : bool
        Whether it has ended: nothing of this will change.
    """

    stays: Sequence[Stay]
    vcpus: float
    memory: int
    gpus: int = 0
    machine: Machine = UNKNOWN
    is_over: bool = False


def child_of(detail: Description) -> Child:
    """Read what Batch says of a job or child: pure."""
    container = detail.get("container", {})
    needs = {one["type"]: float(one["value"]) for one in container.get("resourceRequirements", ())}
    vcpus, memory = needs.get("VCPU", 0.0), int(needs.get("MEMORY", 0))
    machine = _machine(detail, container)
    if machine.type == FARGATE:
        vcpus, memory = nearest(vcpus, memory) or (vcpus, memory)
    status = known_status(detail["status"])
    stays = list(_ended(detail.get("attempts", ())))
    may_lack = status in STARTED or (status in ENDED and not stays)
    if may_lack and (more := _unlisted(detail, container, stays)) is not None:
        stays.append(more)
    stays = _stopped(stays, detail.get("stoppedAt"), status in ENDED)
    return Child(stays, vcpus, memory, int(needs.get("GPU", 0)), machine, status in ENDED)


def _ended(attempts: Sequence[Mapping[str, Any]]) -> Iterable[Stay]:
    """Read the attempts that began; Batch may list one that runs, or not."""
    for number, attempt in enumerate(attempts, 1):
        if (started := attempt.get("startedAt")) is not None:
            stopped = attempt.get("stoppedAt")
            instance = str(attempt.get("container", {}).get("containerInstanceArn", ""))
            yield Stay(number, started / 1000, stopped and stopped / 1000, instance)


def _unlisted(
    detail: Description, container: Mapping[str, Any], stays: Sequence[Stay]
) -> Stay | None:
    started = detail.get("startedAt")
    if started is None or any(one.stopped is None for one in stays):
        return None
    if any(one.started == started / 1000 for one in stays):  # it waits for the next attempt
        return None
    number = len(detail.get("attempts", ())) + 1
    return Stay(number, started / 1000, None, str(container.get("containerInstanceArn", "")))


def _stopped(stays: Sequence[Stay], end: float | None, is_over: bool) -> list[Stay]:
    """End those whose end Batch doesn't tell, though they are over, or they would be paid for ever.

    At the start of the next one, or with their job; else nobody knows how long they ran.
    """
    starts = [one.started for one in stays[1:]]
    last = [max(one.started, end / 1000 if end else 0.0) if is_over else None for one in stays[-1:]]
    return [
        one if one.stopped is not None else one._replace(stopped=stop)
        for one, stop in zip(stays, [*starts, *last], strict=True)
    ]


def _machine(detail: Description, container: Mapping[str, Any]) -> Machine:
    platforms = detail.get("platformCapabilities", ())
    is_fargate = ON_FARGATE in platforms or "fargatePlatformConfiguration" in container
    if not is_fargate:
        return UNKNOWN
    variables = {one["name"]: one.get("value", "") for one in container.get("environment", ())}
    possible = variables.get("KNOT_LIFECYCLES", "").split()
    lifecycle = possible[0] if len(possible) == 1 and possible[0] in LIFECYCLES else ""
    kind = container.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
    return Machine(type=FARGATE, lifecycle=lifecycle, architecture=_ARCHITECTURES.get(kind, ""))


class AttemptBook:
    """Keeps what Batch has told of the attempts of children.

    Attributes
    ----------
    children : dict of str to Child
        By the id of the job or child; those that hadn't ended as of the last look.
    """

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    def look(self, client: BatchClient, ids: Iterable[str]) -> None:
        """Ask for jobs and children that haven't ended yet, as far as that is known."""
        known = self.children
        wanted = [id for id in ids if id not in known or not known[id].is_over]
        for detail in describe_jobs(client, wanted):
            known[detail["jobId"]] = child_of(detail)
