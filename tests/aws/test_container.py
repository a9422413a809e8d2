"""Containers of jobs in a stack: merged with what it says, and refused where Batch would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dask_knot.aws.container import container_properties
from dask_knot.aws.outputs import StackOutputs, parse_outputs
from dask_knot.batch.request import EC2, FARGATE, JobTemplate, job_definition
from dask_knot.errors import ConfigurationError
from dask_knot.local.schema import check_parameters
from dask_knot.planning import Resources
from dask_knot.settings.settings import AwsSettings, resolve
from tests.aws.formation import described

OUTPUTS = parse_outputs(described())
EFS = "fs-0123456789abcdef0"
FILES = f"arn:aws:s3files:eu-west-1:123456789012:file-system/{EFS}"


def settings(container: Mapping[str, Any]) -> AwsSettings:
    found = resolve({"engine": "aws", "container": container}).aws
    assert found is not None
    return found


def properties(
    container: Mapping[str, Any], platform: str = EC2, outputs: StackOutputs = OUTPUTS
) -> dict[str, Any]:
    return container_properties(settings(container), outputs, platform)


def definition(container: Mapping[str, Any], platform: str = EC2) -> dict[str, Any]:
    template = JobTemplate(
        "run", "queue", "image", container=properties(container, platform), platform=platform
    )
    return job_definition(template, Resources(vcpus=1, memory=2**31, gpus=0))


ON_EC2: list[dict[str, Any]] = [
    {"shared-memory": "8 GiB"},
    {"ulimits": {"nofile": 65536, "memlock": "unlimited"}},
    {"tmpfs": {"/scratch": "2 GiB"}, "read-only": True},
    {"devices": ["/dev/fuse"], "privileged": True, "user": 1000},
    {"swap": "4 GiB", "swappiness": 10},
    {"volumes": {"/efs": EFS, "/files": FILES, "/fsx": {"source": "/fsx", "read-only": True}}},
    {"registry-secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:registry"},
    {"logConfiguration": {"options": {"mode": "non-blocking"}}},
]
ON_FARGATE: list[dict[str, Any]] = [
    {"ephemeral-storage": "100 GiB"},
    {"volumes": {"/efs": f"{EFS}:/models"}, "platform-version": "1.4.0"},
    {"public-ip": False, "init": False, "privileged": False},
    {"volumes": {"/files": FILES}},
]
TAKEN = [(EC2, one) for one in ON_EC2] + [(FARGATE, one) for one in ON_FARGATE]


@pytest.mark.parametrize(("platform", "said"), TAKEN, ids=[str(one[1])[:40] for one in TAKEN])
def test_boto3_would_send_what_is_taken(platform: str, said: dict[str, Any]) -> None:
    plain, found = definition({}, platform), definition(said, platform)
    check_parameters("RegisterJobDefinition", found)
    assert found["containerProperties"] != plain["containerProperties"]
    # Else the definition of another container, which is there already, would be taken for it.
    assert found["jobDefinitionName"] != plain["jobDefinitionName"]


def test_what_the_stack_says_stays_beside_what_is_said() -> None:
    found = properties({"shared-memory": "8 GiB"})
    assert found["linuxParameters"] == {"initProcessEnabled": True, "sharedMemorySize": 8192}
    assert found["jobRoleArn"] == OUTPUTS.job_role
    log = properties({"logConfiguration": {"options": {"mode": "non-blocking"}}})
    assert log["logConfiguration"]["options"]["awslogs-group"] == OUTPUTS.log_group
    assert log["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_another_log_has_none_of_the_options_of_ours() -> None:
    said = {"logConfiguration": {"logDriver": "splunk", "options": {"splunk-url": "x"}}}
    assert properties(said)["logConfiguration"] == said["logConfiguration"]


def test_whose_files_are_fixed_cannot_be_entered() -> None:
    outputs = replace(OUTPUTS, has_shell=True)
    assert properties({}, outputs=outputs)["enableExecuteCommand"] is True
    assert "enableExecuteCommand" not in properties({"read-only": True}, outputs=outputs)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (FARGATE, {"shared-memory": "8 GiB"}, "shared-memory: Fargate doesn't offer this"),
    (FARGATE, {"ulimits": {"nofile": 5}, "tmpfs": {"/a": "1 GiB"}}, "tmpfs, ulimits: Fargate"),
    (FARGATE, {"devices": ["/dev/fuse"]}, "devices: Fargate"),
    (FARGATE, {"swap": "1 GiB"}, "swap: Fargate"),
    (FARGATE, {"privileged": True}, "privileged: Fargate"),
    (FARGATE, {"volumes": {"/fsx": "/fsx"}}, "volumes from the instance's folders: Fargate"),
    (
        FARGATE,
        {"volumes": {"/efs": EFS}, "platform-version": "1.3.0"},
        "EFS needs Fargate platform version 1.4.0 or newer, and platform-version is 1.3.0",
    ),
    (
        EC2,
        {"ephemeral-storage": "100 GiB"},
        "ephemeral-storage: this is for Fargate only.* up --vol",
    ),
    (EC2, {"public-ip": True}, "public-ip: this is for Fargate only"),
    (EC2, {"linuxParameters": {"shmSize": 5}}, '"shmSize", must be one of: .*sharedMemorySize'),
    (EC2, {"linuxParameters": {"sharedMemorySize": "8 GiB"}}, "Invalid type for .*sharedMemory"),
    (EC2, {"linuxParameters": []}, "Invalid type for parameter linuxParameters"),
    (EC2, {"linuxParameters": 5}, "Invalid type for parameter linuxParameters"),
    (EC2, {"shared-memory": "1e30 GiB"}, "sharedMemorySize=.* from 0 to 2147483647"),
    (EC2, {"linuxParameters": {"maxSwap": -1}}, "maxSwap=-1 is wrong: .* from 0"),
    (EC2, {"ulimits": [{"name": "cpu", "softLimit": -2, "hardLimit": -1}]}, "softLimit=-2 .* -1"),
    (
        EC2,
        {"volumes": [{"name": "a"}], "mountPoints": [{"sourceVolume": "a"}]},
        "mountPoints has no containerPath for 'a'",
    ),
    (EC2, {"ulimits": {"memlock": "4 GiB"}}, r"ulimits\[0\].softLimit=4294967296 is wrong"),
    (
        EC2,
        {"capAdd": ["SYS_ADMIN"]},
        '"capAdd", must be one of: .*linuxParameters.*newer botocore than',
    ),
    (EC2, {"ulimits": [{"name": "nofile"}]}, "Missing required parameter in ulimits.*hardLimit"),
    (
        EC2,
        {"volumes": [{"efsVolumeConfiguration": {"fileSystemId": EFS, "transitEncryption": "ON"}}]},
        r"volumes\[0\].*transitEncryption='ON' is wrong.*'ENABLED', 'DISABLED'",
    ),
    (
        EC2,
        {"volumes": {"/a": "/a"}, "mountPoints": [{"sourceVolume": "a", "containerPath": "/b"}]},
        "a sourceVolume 'a', but volumes has none of that name",
    ),
    (EC2, {"logConfiguration": {"logDriver": "paper"}}, "logDriver='paper' is wrong.*awslogs"),
    (
        EC2,
        {"logConfiguration": {"options": {"awslogs-group": "mine"}}},
        "`cluster.logs` relies on logConfiguration.options.awslogs-group",
    ),
]


@pytest.mark.parametrize(
    ("platform", "said", "answer"), REFUSED, ids=[str(one[1])[:50] for one in REFUSED]
)
def test_what_batch_would_refuse_is_refused_before_anything_is_submitted(
    platform: str, said: dict[str, Any], answer: str
) -> None:
    with pytest.raises(ConfigurationError, match=answer) as caught:
        properties(said, platform)
    assert str(caught.value).startswith("container: ")


def test_files_of_s3_on_instances_are_doubted(caplog: pytest.LogCaptureFixture) -> None:
    properties({"volumes": {"/files": FILES}}, FARGATE)
    assert not caplog.records
    properties({"volumes": {"/files": FILES}}, EC2)
    assert "ECS mounts S3 Files only on Fargate" in caplog.text
