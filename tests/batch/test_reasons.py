"""Real reasons of AWS, as people quote them, and whose fault each is."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.endings import explain
from dask_knot.batch.reasons import ACCIDENTS, Blame, cause_of
from dask_knot.batch.rules import CONTAINER_EXITED, NOT_STARTED
from dask_knot.errors import JobError, JobStartError
from dask_knot.tracking.events import Ending

#: By a name: status reason, reason of the container, whose fault, words of the cure. In most a
#: name, an address or a digest is another than where it was found.
REASONS: dict[str, tuple[str, str, Blame, str]] = {
    # nextflow-io/nextflow#3091, aws/amazon-ecs-agent#2312
    "inspect": (
        CONTAINER_EXITED,
        "CannotInspectContainerError: Could not transition to inspecting; timed out after "
        "waiting 30s",
        Blame.MACHINE,
        "--volume-type",
    ),
    # nextflow-io/nextflow#5099
    "disk full": (
        NOT_STARTED,
        "CannotPullContainerError: write /var/lib/docker/tmp/GetImageBlob887491687: no space left "
        "on device",
        Blame.MACHINE,
        "--volume-size",
    ),
    "disk full while a layer is unpacked": (
        NOT_STARTED,
        "CannotPullContainerError: failed to register layer: write /usr/local/lib/libopenblas.so: "
        "no space left on device",
        Blame.MACHINE,
        "--volume-size",
    ),
    # seqeralabs/nf-tower#305
    "log driver without a network": (
        NOT_STARTED,
        "CannotStartContainerError: Error response from daemon: failed to initialize logging "
        "driver: failed to create Cloudwatch log stream: RequestError: send request failed caused "
        "by: Post https://logs.us-east-2.amazonaws.com/: dial tcp 10.20.10.16:443: i/o time",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    # aws-actions/amazon-ecs-deploy-task-definition#232
    "docker timeout": (
        "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s",
        "",
        Blame.MACHINE,
        "--volume-type",
    ),
    # aws/amazon-ecs-agent#4825, aws-solutions/distributed-load-testing-on-aws#82
    "network interface": (
        "Timeout waiting for network interface provisioning to complete.",
        "",
        Blame.MACHINE,
        "free addresses",
    ),
    "ephemeral storage": (
        "Timeout waiting for EphemeralStorage provisioning to complete.",
        "",
        Blame.MACHINE,
        "try again",
    ),
    "capacity of Fargate": (
        "Capacity is unavailable at this time. Please try again later or in a different "
        "availability zone",
        "",
        Blame.MACHINE,
        "more subnets",
    ),
    # globaldothealth/list#2662
    "fargate without a way to ECR": (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
        "retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 "
        "time(s): RequestError: send request failed caused by: Post "
        '"https://api.ecr.us-east-2.amazonaws.com/": dial tcp 52.95.1.1:443: i/o timeout. Please '
        "check your task network configuration.",
        "",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    # Releem/releem-agent#195: outbound rules of the security group
    "a secret without a network": (
        NOT_STARTED,
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
        "retrieval failed: unable to retrieve secret from asm: service call has been retried 5 "
        "time(s): failed to fetch secret arn:aws:secretsmanager:us-west-2:1:secret:a from secrets "
        "manager: RequestCanceled: request context canceled caused by: context deadline exceeded.",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    "a secret that may not be read": (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
        "retrieval failed: unable to retrieve secret from asm: AccessDeniedException: User: "
        "arn:aws:sts::1:assumed-role/x is not authorized to perform: secretsmanager:GetSecretValue",
        "",
        Blame.OWN,
        "execution role",
    ),
    "a log group that isn't there": (
        "ResourceInitializationError: failed to validate logger args: create stream has been "
        "retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The "
        "specified log group does not exist. : exit status 1",
        "",
        Blame.OWN,
        "dask knot up",
    ),
    # globaldothealth/list#2662 (platform version 1.3.0)
    "pull without a network": (
        NOT_STARTED,
        "CannotPullContainerError: Error response from daemon: Get https://1.dkr.ecr.eu-west-1."
        "amazonaws.com/v2/: net/http: request canceled while waiting for connection "
        "(Client.Timeout exceeded while awaiting headers)",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    # aws/containers-roadmap#1133: AWS cuts reasons off
    "pull that is cut off": (
        NOT_STARTED,
        'CannotPullContainerError: containerd: pull command failed: time="2020-10-30" level=info '
        'msg="apply failure, attempting cleanup" error="failed to extract layer sha256:1: context '
        "ca...",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    "docker hub's limit": (
        NOT_STARTED,
        "CannotPullContainerError: inspect image has been retried 5 time(s): httpReadSeeker: "
        "failed open: unexpected status code https://registry-1.docker.io/v2/library/python/"
        "manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have "
        "reached your pull rate limit. You may increase the limit by authenticating",
        Blame.NETWORK,
        "an image in ECR",
    ),
    "registry that is ill": (
        NOT_STARTED,
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to "
        "resolve ref public.ecr.aws/x/y:1: unexpected status from HEAD request: 503 Service "
        "Unavailable",
        Blame.NETWORK,
        "dask knot doctor",
    ),
    # spotify/luigi#2808
    "no such tag": (
        NOT_STARTED,
        "CannotPullContainerError: Error response from daemon: manifest for 1.dkr.ecr.eu-west-1."
        "amazonaws.com/x:y not found",
        Blame.OWN,
        "dask knot image",
    ),
    "no such repository": (
        NOT_STARTED,
        "CannotPullContainerError: Error response from daemon: pull access denied for x, "
        "repository does not exist or may require 'docker login': denied: requested access to the "
        "resource is denied",
        Blame.OWN,
        "dask knot image",
    ),
    "an image that can't be resolved": (
        NOT_STARTED,
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
        "resolve ref docker.io/library/x:y: docker.io/library/x:y: not found",
        Blame.OWN,
        "dask knot image",
    ),
    "a role that may not pull": (
        NOT_STARTED,
        "CannotPullECRContainerError: AccessDeniedException: User: arn:aws:sts::1:assumed-role/x "
        "is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
        Blame.OWN,
        "execution role",
    ),
    "another platform": (
        NOT_STARTED,
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest "
        "does not contain descriptor matching platform 'linux/amd64'",
        Blame.OWN,
        "another architecture",
    ),
    "no such program": (
        NOT_STARTED,
        "CannotStartContainerError: Error response from daemon: failed to create shim task: OCI "
        "runtime create failed: runc create failed: unable to start container process: exec: "
        '"python": executable file not found in $PATH: unknown',
        Blame.OWN,
        "lacks the program to start",
    ),
    "no command": (
        NOT_STARTED,
        "CannotCreateContainerError: Error response from daemon: No command specified",
        Blame.OWN,
        "lacks the program to start",
    ),
    "thin pool": (
        NOT_STARTED,
        "CannotCreateContainerError: API error (500): devmapper: Thin Pool has 4350 free data "
        "blocks which is less than minimum required 4454 free data blocks",
        Blame.MACHINE,
        "--volume-size",
    ),
    "a daemon that has no memory": (
        NOT_STARTED,
        "CannotStartContainerError: Error response from daemon: OCI runtime create failed: "
        "container_linux.go:380: starting container process caused: process_linux.go:545: "
        "container init caused: Running hook #0: cannot allocate memory: unknown",
        Blame.MACHINE,
        "try again",
    ),
    "a role that can't be taken": (
        "ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this "
        "task.",
        "",
        Blame.OWN,
        "execution role",
    ),
    # aws/containers-roadmap#2561, apache/airflow#15000
    "nothing is said": (NOT_STARTED, "", Blame.MACHINE, "try again"),
    "nothing is said, in the newer words": ("TaskFailedToStart", "", Blame.MACHINE, "try again"),
}


def ended(status: str, container: str, attempts: int = 0) -> dict[str, Any]:
    """Say what describe_jobs says of a job without an exit code, after so many such attempts."""
    reason = {"reason": container} if container else {}
    one = {"statusReason": status, "container": reason}
    return {"jobId": "a:1", "status": "FAILED", **one, "attempts": [one] * attempts}


@pytest.mark.parametrize(("status", "container", "fault", "cure"), REASONS.values(), ids=REASONS)
def test_whose_fault_it_is_is_told_with_what_helps(
    status: str, container: str, fault: Blame, cure: str
) -> None:
    cause = cause_of(container or status)
    assert cause is not None
    assert cause.fault is fault
    found = explain(ended(status, container), ())
    # Planned again, unless the next start must end as this one.
    assert found.ending is (Ending.NOT_STARTED if fault is Blame.OWN else Ending.HOST_LOST)
    assert type(found.error) is JobStartError
    assert cure in str(found.error)
    assert ("the image isn't to blame" in str(found.error)) == (fault is not Blame.OWN)


@pytest.mark.parametrize("attempts", range(ACCIDENTS + 2))
@pytest.mark.parametrize(
    "name", ["fargate without a way to ECR", "pull without a network", "inspect"]
)
def test_a_network_that_never_works_is_not_tried_for_ever(name: str, attempts: int) -> None:
    status, container, fault, _ = REASONS[name]
    is_over = fault is Blame.NETWORK and attempts >= ACCIDENTS
    found = explain(ended(status, container, attempts), ())
    assert found.ending is (Ending.NOT_STARTED if is_over else Ending.HOST_LOST)


@pytest.mark.parametrize(
    "reason",
    [
        "Essential container in task exited",
        "OutOfMemoryError: Container killed due to memory usage",
        "Host EC2 (instance i-0abc) terminated.",
        "Your Spot Task was interrupted.",
        "Dependent Job failed",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x",
        "it can never run here",
        "",
    ],
)
def test_what_is_about_no_start_has_no_such_cause(reason: str) -> None:
    assert cause_of(reason) is None


def test_a_container_that_left_no_exit_code_lost_its_machine() -> None:
    found = explain(ended(CONTAINER_EXITED, ""), ())
    assert found.ending is Ending.HOST_LOST
    assert type(found.error) is JobError
