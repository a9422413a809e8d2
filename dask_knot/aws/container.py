"""Containers of jobs in a stack: what it says, what users say, and whether Batch will take it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dask_knot.aws.outputs import StackOutputs
from dask_knot.batch.request import EC2, FARGATE
from dask_knot.batch.schema import container_faults
from dask_knot.errors import ConfigurationError
from dask_knot.run.address import VARIABLE
from dask_knot.settings.container import merged
from dask_knot.settings.linux import Properties
from dask_knot.settings.settings import AwsSettings

logger = logging.getLogger(__name__)

#: Variables that all jobs have.
OURS = ("AWS_REGION", "AWS_DEFAULT_REGION", VARIABLE, "KNOT_LIFECYCLES")
#: Tags that a job can have.
JOB_TAGS = 50
ARCHITECTURES = {"amd64": "X86_64", "arm64": "ARM64"}
#: What jobs on one platform don't have, by its path in ``containerProperties``: our word for it.
LACKING = {
    FARGATE: {
        "linuxParameters.sharedMemorySize": "shared-memory",
        "linuxParameters.tmpfs": "tmpfs",
        "linuxParameters.devices": "devices",
        "linuxParameters.maxSwap": "swap",
        "linuxParameters.swappiness": "swappiness",
        "privileged": "privileged",
        "ulimits": "ulimits",
    },
    EC2: {
        "ephemeralStorage": "ephemeral-storage",
        "fargatePlatformConfiguration": "platform-version",
        "networkConfiguration": "public-ip",
    },
}
INSTEAD = {
    FARGATE: "Fargate doesn't offer this; make the stack with --platform ec2 or spot",
    EC2: "this is for Fargate only; on EC2, set the instances' disk with `dask knot up "
    "--volume-size`",
}
#: Options of the log that say where `cluster.logs` finds it.
OUR_LOG = ("awslogs-group", "awslogs-region", "awslogs-stream-prefix")


def container_properties(aws: AwsSettings, outputs: StackOutputs, platform: str) -> Properties:
    """Make what containers have beside image, size and environment.

    Parameters
    ----------
    aws : AwsSettings
        With what users say: `container`, which was checked word by word.
    outputs : StackOutputs
        What the stack says: roles, logs, network.
    platform : str
        ``EC2`` or ``FARGATE``.

    Raises
    ------
    ConfigurationError
        If the platform, or Batch as botocore describes it, has no such thing.
    """
    base = _of_stack(aws, outputs, platform)
    if not aws.container:
        return base
    said = dict(aws.container)
    log = said.get("logConfiguration", {})
    driver = log.get("logDriver", "awslogs") if isinstance(log, Mapping) else "awslogs"
    if driver != "awslogs":
        del base["logConfiguration"]  # another one knows none of these options
    if said.get("readonlyRootFilesystem"):
        base.pop("enableExecuteCommand", None)  # AWS's agent in the container must write
    found = merged(base, said)
    faults = [*container_faults(found)] or [*_platform_faults(said, platform), *_log_faults(said)]
    if faults:
        raise ConfigurationError("container: " + "; ".join(faults))
    files = [one for one in found.get("volumes", ()) if "s3filesVolumeConfiguration" in one]
    if platform == EC2 and files:
        logger.warning(
            "according to its documentation, ECS mounts S3 Files only on Fargate. If no job "
            "starts, mount it with `dask knot up --user-data` and give the folder as the "
            "volume"
        )
    return found


def check_early(aws: AwsSettings, outputs: StackOutputs, variables: Collection[str] = ()) -> None:
    """Refuse what the first job definition would be refused for, before an image is built.

    Parameters
    ----------
    aws : AwsSettings
        The settings.
    outputs : StackOutputs
        What the stack says of itself.
    variables : collection of str
        The names of the environment variables of jobs, beside those that are always there.

    Raises
    ------
    ConfigurationError
        If there are too many tags, if what jobs run on has no containers of that kind, or if a
        secret is to be in a variable that has a value.
    """
    if twice := sorted(aws.secrets.keys() & {*OURS, *variables}):
        raise ConfigurationError(
            f"secrets: jobs have {', '.join(twice)} already, and ECS refuses a variable that "
            "is set twice: give it either as a secret or in environment="
        )
    _check_tags({**outputs.tags, **aws.tags})
    if aws.queue is None:  # else only Batch knows what jobs run on
        container_properties(aws, outputs, FARGATE if outputs.is_fargate else EC2)


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > JOB_TAGS:
        raise ConfigurationError(
            f"tags: {len(tags)}, including the stack's, are too many: Batch allows {JOB_TAGS}"
        )


def _of_stack(aws: AwsSettings, outputs: StackOutputs, platform: str) -> Properties:
    log = {
        "awslogs-group": outputs.log_group,
        "awslogs-region": outputs.region,
        "awslogs-stream-prefix": "dask-knot",
    }
    found: Properties = {
        "jobRoleArn": aws.job_role or outputs.job_role,
        "executionRoleArn": outputs.execution_role,
        "logConfiguration": {"logDriver": "awslogs", "options": log},
        # The first process of a container hears no SIGTERM that it doesn't ask for; init does.
        "linuxParameters": {"initProcessEnabled": True},
    }
    if outputs.has_shell:
        found["enableExecuteCommand"] = True
    if aws.secrets:
        found["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in aws.secrets.items()]
    if platform == FARGATE:
        address = "ENABLED" if outputs.has_public_ip else "DISABLED"
        found["networkConfiguration"] = {"assignPublicIp": address}
        found["runtimePlatform"] = {
            "operatingSystemFamily": "LINUX",
            "cpuArchitecture": ARCHITECTURES[outputs.architecture],
        }
    return found


def _platform_faults(said: Properties, platform: str) -> Iterator[str]:
    lacking = [word for path, word in LACKING[platform].items() if _has(said, path.split("."))]
    volumes = said.get("volumes", ())
    if platform == FARGATE and any("host" in one for one in volumes):
        lacking.append("volumes from the instance's folders")
    if lacking:
        yield f"{', '.join(lacking)}: {INSTEAD[platform]}"
    version = said.get("fargatePlatformConfiguration", {}).get("platformVersion", "LATEST")
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    is_old = numbers is not None and (int(numbers[1]), int(numbers[2])) < (1, 4)
    if is_old and any("efsVolumeConfiguration" in one for one in volumes):
        yield (
            f"EFS needs Fargate platform version 1.4.0 or newer, and platform-version is {version}"
        )


def _has(said: Any, path: list[str]) -> bool:
    for name in path:
        said = said.get(name) if isinstance(said, Mapping) else None
    return said not in (None, False)


def _log_faults(said: Properties) -> Iterator[str]:
    options = said.get("logConfiguration", {}).get("options", {})
    for name in OUR_LOG:
        if name in options:
            yield f"`cluster.logs` relies on logConfiguration.options.{name}: leave it out"
