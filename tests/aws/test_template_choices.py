"""What Batch can do beside the default: in the template, where it belongs, and nowhere else."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import fields, replace
from email import message_from_string
from typing import Any

import pytest

from dask_knot.aws.operator import Location, operator_policy
from dask_knot.aws.options import StackOptions
from dask_knot.aws.removal import mark_kept
from dask_knot.aws.template import ADDED, MOST_BYTES, dumped, make_template, write_template
from dask_knot.aws.template.compute import mime
from dask_knot.aws.template.words import tag_parameters
from dask_knot.errors import ConfigurationError
from tests.aws.templates import ALL, BOUNDARY, EFS, IAM, KEY, S3_FILES, SHARED, properties


def test_the_longest_tags_and_all_options_are_no_more_than_cloudformation_takes() -> None:
    assert len(write_template(ALL).encode()) < MOST_BYTES - 10_000


def test_a_template_that_is_too_long_is_refused_with_what_makes_it_so() -> None:
    letters = {f"{n:03}".ljust(128, "\U00020000"): "" for n in range(45)}
    script = "#!" + "x" * 15_000
    with pytest.raises(
        ConfigurationError, match=r"bytes.*51,200,.* needs 512: give fewer or shorter tags"
    ):
        write_template(StackOptions(tags=letters, user_data=script, platform="spot"))


def test_what_keeps_data_when_a_stack_goes_has_room_in_the_longest_template() -> None:
    template = json.loads(write_template(ALL))
    before = len(dumped(template))
    assert mark_kept(template)
    assert 0 < len(dumped(template)) - before <= ADDED
    assert not mark_kept(template)


def test_what_cloudformation_gives_back_says_user_data_in_any_language() -> None:
    data = properties(StackOptions(user_data="#!/bin/sh\necho über\n"), "LaunchTemplate")
    text = str(data["LaunchTemplateData"]["UserData"])
    assert "über" in b64decode(text).decode()


def test_machines_and_disks_have_every_tag_and_the_others_get_them_from_the_stack() -> None:
    options = StackOptions(platform="spot", on_demand_vcpus=8, owner="ada", tags={"project": "a"})
    expected = {
        "owner": {"Ref": "Tag0"},
        "project": {"Ref": "Tag1"},
        "dask-knot": "dask-knot",
    }
    assert tag_parameters(options) == {"Tag0": "ada", "Tag1": "a"}
    for name in ("ComputeEnvironment", "OnDemandEnvironment"):
        assert properties(options, name)["ComputeResources"]["Tags"] == expected
    (disk,) = properties(options, "LaunchTemplate")["LaunchTemplateData"]["TagSpecifications"]
    assert {one["Key"]: one["Value"] for one in disk["Tags"]} == expected
    assert tag_parameters(replace(options, platform="fargate-spot")) == {}


def test_tags_in_another_order_change_nothing() -> None:
    tags = {"project": "a", "cost": "b"}
    one, other = (StackOptions(tags=dict(given)) for given in (tags.items(), [*tags.items()][::-1]))
    assert write_template(one) == write_template(other)
    assert tag_parameters(one) == tag_parameters(other)


@pytest.mark.parametrize(
    "options", [ALL, replace(ALL, allocation_strategy="BEST_FIT")], ids=["spot", "spot fleet"]
)
def test_a_boundary_is_on_every_role(options: StackOptions) -> None:
    roles = [
        one["Properties"]
        for one in make_template(options)["Resources"].values()
        if one["Type"] == "AWS::IAM::Role"
    ]
    assert len(roles) >= 3
    assert {one.get("PermissionsBoundary") for one in roles} == {BOUNDARY}


def test_behind_spot_is_the_same_on_demand_with_its_own_limit() -> None:
    order = properties(ALL, "Queue")["ComputeEnvironmentOrder"]
    assert [(one["Order"], one["ComputeEnvironment"]["Ref"]) for one in order] == [
        (1, "ComputeEnvironment"),
        (2, "OnDemandEnvironment"),
    ]
    first, behind = (properties(ALL, order[n]["ComputeEnvironment"]["Ref"]) for n in (0, 1))
    spot, on_demand = (one["ComputeResources"] for one in (first, behind))
    assert (spot["Type"], spot["MaxvCpus"], spot["MinvCpus"]) == ("SPOT", 256, 2)
    assert (on_demand["Type"], on_demand["MaxvCpus"], on_demand["MinvCpus"]) == ("EC2", 64, 0)
    assert on_demand["AllocationStrategy"] == "BEST_FIT_PROGRESSIVE"
    same = ("InstanceTypes", "LaunchTemplate", "InstanceRole", "Subnets", "Ec2Configuration")
    assert [spot[one] for one in same] == [on_demand[one] for one in same]
    assert first["ComputeEnvironmentName"] == "dask-knot-ec2"
    assert behind["ComputeEnvironmentName"] == "dask-knot-ec2-on-demand"


def test_behind_fargate_spot_is_fargate() -> None:
    options = StackOptions(platform="fargate-spot", on_demand_vcpus=8)
    resources = properties(options, "OnDemandEnvironment")["ComputeResources"]
    assert (resources["Type"], resources["MaxvCpus"]) == ("FARGATE", 8)


def test_a_second_stack_can_be_a_queue_and_nothing_else() -> None:
    template = make_template(SHARED)
    assert sorted(template["Resources"]) == [
        "ComputeEnvironment",
        "LogGroup",
        "OnDemandEnvironment",
        "Queue",
        "SecurityGroup",
    ]
    outputs = {name: one["Value"] for name, one in template["Outputs"].items()}
    assert outputs["Bucket"] == "theirs"
    registry = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}"
    assert outputs["Repository"] == {"Fn::Sub": f"{registry}/a/b"}
    assert outputs["ExecutionRole"] == IAM + "role/starter"
    resources = template["Resources"]["ComputeEnvironment"]["Properties"]["ComputeResources"]
    assert resources["InstanceRole"] == IAM + "instance-profile/machines"
    assert resources["LaunchTemplate"] == {
        "LaunchTemplateId": "lt-0123456789abcdef0",
        "Version": "3",
    }


def test_disks_have_the_key_and_the_speed_that_are_given() -> None:
    (disk,) = properties(ALL, "LaunchTemplate")["LaunchTemplateData"]["BlockDeviceMappings"]
    assert disk["Ebs"] == {
        "VolumeSize": 50,
        "VolumeType": "gp3",
        "Iops": 4000,
        "Throughput": 500,
        "Encrypted": True,
        "KmsKeyId": KEY,
        "DeleteOnTermination": True,
    }


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("#!/bin/bash\nmount -t lustre fs-1:/a /fsx\n", ["text/x-shellscript"]),
        ("#cloud-config\nruncmd: [ls]\n", ["text/cloud-config"]),
        (mime("#!/bin/sh"), ["text/x-shellscript"]),
    ],
    ids=["script", "cloud-config", "mime"],
)
def test_user_data_are_parts_of_a_mime_archive_as_batch_wants_them(
    text: str, kinds: list[str]
) -> None:
    data = properties(StackOptions(user_data=text), "LaunchTemplate")["LaunchTemplateData"]
    written = b64decode(data["UserData"]).decode()
    archive = message_from_string(written)
    parts = [part for part in archive.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in parts] == kinds
    assert text == written or text.strip() in parts[0].get_payload()


def test_what_stands_in_the_environment_and_in_the_queue() -> None:
    environment = properties(ALL, "ComputeEnvironment")
    assert environment["EcsSettings"] == {"ContainerInsights": "ENHANCED"}
    assert environment["ComputeResources"]["PlacementGroup"] == "close"
    assert environment["ComputeResources"]["ScalingPolicy"] == {"MinScaleDownDelayMinutes": 30}
    data = properties(ALL, "LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    seconds = {
        one["Reason"]: one["MaxTimeSeconds"]
        for one in properties(ALL, "Queue")["JobStateTimeLimitActions"]
    }
    assert seconds["CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"] == 1200
    without = properties(StackOptions(), "Queue")["JobStateTimeLimitActions"]
    assert not [one for one in without if one["Reason"].startswith("CAPACITY")]


def test_jobs_may_mount_the_file_systems_that_are_named_and_not_as_root() -> None:
    (policy,) = properties(ALL, "JobRole")["Policies"]
    mounts = {
        tuple(one["Action"]): one["Resource"]
        for one in policy["PolicyDocument"]["Statement"]
        if "ClientMount" in str(one["Action"])
    }
    place = "arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}"
    assert mounts == {
        ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"): [
            {"Fn::Sub": f"{place}:file-system/{EFS}"}
        ],
        ("s3files:ClientMount", "s3files:ClientWrite"): [S3_FILES],
    }
    assert "ClientMount" not in json.dumps(make_template(StackOptions()))


def test_no_arn_is_of_one_partition_only() -> None:
    def moved(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        return value.replace("arn:aws:", "arn:aws-cn:") if isinstance(value, str) else value

    china = Location("aws-cn", "cn-north-1", "123456789012")
    for options in (ALL, SHARED, StackOptions(), StackOptions(platform="fargate", shell=True)):
        there = {one.name: moved(getattr(options, one.name)) for one in fields(options)}
        made = StackOptions(**there)
        text = write_template(made) + dumped(operator_policy(made, china))
        assert "arn:aws-cn:" in text
        assert "arn:aws:" not in text
