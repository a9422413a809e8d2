"""A shell in a job on AWS, through ECS Exec: the command of AWS's own command line for it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.aws.session import AwsSession, translated
from dask_knot.batch.client import BatchClient
from dask_knot.errors import ConfigurationError, EngineError

#: What Batch calls the container of a job.
CONTAINER = "default"
#: The better shell, if the image has it.
SHELL = "/bin/sh -c 'if [ -x /bin/bash ]; then exec /bin/bash; fi; exec /bin/sh'"
#: What must be installed here, and where to get it.
TOOLS = {
    "aws": "AWS's command line: https://docs.aws.amazon.com/cli/",
    "session-manager-plugin": "the Session Manager plugin of AWS's command line: "
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html",
}
ENDED = ("SUCCEEDED", "FAILED")


def shell_words(
    session: AwsSession, client: BatchClient, job_id: str, command: Sequence[str]
) -> list[str]:
    """Make the command that opens a shell in a job, or runs a command there.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    client : BatchClient
        Is asked for the job.
    job_id : str
        A job, or a child of an array.
    command : sequence of str
        What is run; a shell if it is empty.

    Raises
    ------
    EngineError
        If a program is missing here, or the job takes no shells, hasn't started or has ended.
    ConfigurationError
        If there is no such job, or it is an array, which runs nothing itself.
    AwsError
        If AWS refuses, or can't be reached.
    """
    check_tools()
    with translated():
        found = client.describe_jobs(jobs=[job_id])["jobs"]
    if not found:
        raise ConfigurationError(
            f"Batch doesn't know job {job_id}: Batch forgets finished jobs after a day to a week"
        )
    task = running_task(found[0])
    place = ["--region", session.region]
    if session.boto.profile_name != "default":
        place += ["--profile", session.boto.profile_name]
    said = shlex.join(command) if command else SHELL
    return [
        *("aws", "ecs", "execute-command", "--interactive", *place),
        *("--cluster", cluster_of(client, found[0], task), "--task", task),
        *("--container", CONTAINER, "--command", said),
    ]


def check_tools() -> None:
    """Make sure of the programs that a shell needs here.

    Raises
    ------
    EngineError
        If one is missing.
    """
    for name, what in TOOLS.items():
        if shutil.which(name) is None:
            raise EngineError(f"a shell in a job on AWS needs `{name}`, which isn't here: {what}")


def running_task(detail: Mapping[str, Any]) -> str:
    """Give the ARN of the ECS task of a job that runs and takes shells: pure.

    Raises
    ------
    EngineError
        If it doesn't.
    ConfigurationError
        If it is an array.
    """
    id, status = detail["jobId"], detail["status"]
    container = detail.get("container", {})
    size = detail.get("arrayProperties", {}).get("size")
    if size:
        raise ConfigurationError(
            f"{id} is an array of {size} jobs: name one of them, {id}:0 to {id}:{size - 1}"
        )
    if status in ENDED:
        raise EngineError(f"job {id} has finished ({status}), so it can't be entered")
    if status != "RUNNING" or not container.get("taskArn"):
        raise EngineError(f"job {id} has not started yet ({status}): try again when it runs")
    if not container.get("enableExecuteCommand"):
        raise EngineError(
            f"job {id} doesn't allow shells: run `dask knot up --shell`, then start the work "
            "again. After that, anyone with ecs:ExecuteCommand can act with the jobs' role"
        )
    return str(container["taskArn"])


def cluster_of(client: BatchClient, detail: Mapping[str, Any], task: str) -> str:
    """Name the ECS cluster of a task: as its ARN says, or its queue's compute environment.

    Raises
    ------
    EngineError
        If neither says it.
    """
    parts = task.partition(":task/")[2].split("/")
    with translated():
        queues = client.describe_job_queues(jobQueues=[detail["jobQueue"]])["jobQueues"]
        order = queues[0]["computeEnvironmentOrder"] if queues else []
        names = [one["computeEnvironment"] for one in order]
        found = client.describe_compute_environments(computeEnvironments=names) if names else {}
    clusters = [str(one.get("ecsClusterArn", "")) for one in found.get("computeEnvironments", ())]
    if len(parts) == 2:
        return next((arn for arn in clusters if arn.endswith(f"/{parts[0]}")), parts[0])
    if clusters and clusters[0]:
        return clusters[0]
    raise EngineError(f"no compute environment of {detail['jobQueue']} names its ECS cluster")
