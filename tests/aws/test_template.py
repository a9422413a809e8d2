"""The template: right by CloudFormation's own rules, and as closed as it can be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.api import lint

from dask_knot.aws.options import StackOptions
from dask_knot.aws.rules import ARCHITECTURES, PLATFORMS
from dask_knot.aws.template import make_template
from dask_knot.errors import ConfigurationError
from tests.aws.templates import ALL, KEY, SHARED, properties

VPC = "vpc-0123456789abcdef0"


def combinations() -> Iterator[StackOptions]:
    for platform, vpc, gpu, architecture in itertools.product(
        PLATFORMS, ("default", "new", VPC), (False, True), ARCHITECTURES
    ):
        try:
            yield StackOptions(platform=platform, vpc=vpc, gpu=gpu, architecture=architecture)
        except ConfigurationError:  # AWS has no such thing: test_options
            continue


COMBINATIONS = list(combinations())
FURTHER = [
    StackOptions(
        platform="spot",
        allocation_strategy="BEST_FIT",
        spot_percentage=60,
        key_pair="me",
        ami="ami-0123456789abcdef0",
        instance_types=("c6i", "m6i.large"),
        desired_vcpus=2,
        tags={"project": "a b"},
        owner="ada",
        bucket="my-bucket",
        encryption=KEY,
        secrets=(
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/a",
        ),
    ),
    StackOptions(vpc=VPC, subnets=("subnet-12345678",), security_groups=("sg-12345678",)),
    StackOptions(existing_bucket="theirs", existing_job_role="arn:aws:iam::123456789012:role/r"),
    StackOptions(existing_queue="theirs", platform="fargate"),
    StackOptions(platform="fargate-spot", shell=True),
    StackOptions(
        platform="fargate", vpc=VPC, subnets=("subnet-12345678",), public_ip=False, repository="a/b"
    ),
    StackOptions(platform="fargate-spot", on_demand_vcpus=8, container_insights="enabled"),
]
FURTHER += [ALL, SHARED]


def label(options: StackOptions) -> str:
    return (
        " ".join(f"{name}={value}" for name, value in options.changed().items())[:70] or "default"
    )


def errors(template: dict[str, Any]) -> list[str]:
    return [f"{one.rule.id} {one.message}" for one in lint(json.dumps(template, indent=1))]


def test_there_are_combinations() -> None:
    assert len(COMBINATIONS) == 33


@pytest.mark.parametrize("options", COMBINATIONS + FURTHER, ids=label)
def test_cfn_lint_finds_nothing(options: StackOptions) -> None:
    assert errors(make_template(options)) == []


def test_cfn_lint_would_find_something() -> None:
    template = make_template(StackOptions())
    template["Resources"]["Bucket"]["Properties"]["Color"] = "red"
    assert "Color" in str(errors(template))


@pytest.mark.parametrize("options", COMBINATIONS, ids=label)
def test_nothing_comes_in(options: StackOptions) -> None:
    resources = make_template(options)["Resources"]
    assert "SecurityGroupIngress" not in resources["SecurityGroup"]["Properties"]
    assert "AWS::EC2::SecurityGroupIngress" not in {one["Type"] for one in resources.values()}


def test_the_bucket_is_closed() -> None:
    bucket = properties(StackOptions(), "Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    rules = bucket["LifecycleConfiguration"]["Rules"]
    found = [(rule["Prefix"], rule["ExpirationInDays"]) for rule in rules]
    assert found == [("knot/", 30), ("knot/_builds/", 1)]
    (statement,) = properties(StackOptions(), "BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_bucket_is_encrypted_with_the_key_that_is_given() -> None:
    (rule,) = properties(StackOptions(encryption=KEY), "Bucket")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY
    statements = job_statements(StackOptions(encryption=KEY))
    assert KEY in [one["Resource"] for one in statements]


@pytest.mark.parametrize(
    ("architecture", "kind"), [("amd64", "LINUX_CONTAINER"), ("arm64", "ARM_CONTAINER")]
)
def test_builds_run_on_the_processors_of_the_images(architecture: str, kind: str) -> None:
    environment = properties(StackOptions(architecture=architecture), "Builder")["Environment"]
    assert environment["Type"] == kind
    assert environment["PrivilegedMode"]


def test_builds_may_do_what_they_need_and_no_more() -> None:
    options = StackOptions(encryption=KEY, architecture="arm64")
    (policy,) = properties(options, "BuildRole")["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    (objects,) = [one for one in statements if "s3:GetObject" in one["Action"]]
    assert objects["Action"] == ["s3:GetObject", "s3:DeleteObject"]
    assert objects["Resource"]["Fn::Sub"][0] == "${Arn}/knot/_builds/*"
    (push,) = [one for one in statements if "ecr:PutImage" in one["Action"]]
    assert push["Resource"] == {"Fn::GetAtt": ["Repository", "Arn"]}
    (logs,) = [one for one in statements if "logs:PutLogEvents" in one["Action"]]
    assert logs["Resource"]["Fn::Sub"][0].endswith(":log-stream:builds/*")
    assert [one["Resource"] for one in statements if one["Action"] == ["kms:Decrypt"]] == [KEY]


def test_a_stack_may_have_no_project() -> None:
    made = make_template(StackOptions(remote_build=False))
    assert not {"Builder", "BuildRole"} & set(made["Resources"])
    assert "Builder" not in made["Outputs"]


def job_statements(options: StackOptions) -> list[dict[str, Any]]:
    (policy,) = properties(options, "JobRole")["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def test_jobs_reach_the_objects_under_the_prefix_and_nothing_else() -> None:
    objects, listing = job_statements(StackOptions(prefix="a/b"))
    assert objects["Resource"] == {
        "Fn::Sub": ["${Arn}/a/b/*", {"Arn": {"Fn::GetAtt": ["Bucket", "Arn"]}}]
    }
    assert all(action.startswith("s3:") for action in objects["Action"])
    assert listing["Action"] == ["s3:ListBucket"]
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["a/b/*"]}}


def test_jobs_reach_secrets_by_the_service_that_has_them() -> None:
    (policy,) = properties(FURTHER[0], "ExecutionRole")["Policies"]
    by_action = {one["Action"][0]: one["Resource"] for one in policy["PolicyDocument"]["Statement"]}
    assert by_action["secretsmanager:GetSecretValue"] == [FURTHER[0].secrets[0]]
    assert by_action["ssm:GetParameters"] == [FURTHER[0].secrets[1]]


def test_instances_have_the_second_kind_of_metadata_only() -> None:
    data = properties(StackOptions(volume_size=77), "LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["VolumeSize"] == 77
    assert disk["Ebs"]["Encrypted"] is True


@pytest.mark.parametrize("platform", PLATFORMS)
def test_only_instances_have_roles_of_their_own(platform: str) -> None:
    resources = make_template(StackOptions(platform=platform))["Resources"]
    has_instances = platform in ("ec2", "spot")
    for name in ("InstanceRole", "InstanceProfile", "LaunchTemplate"):
        assert (name in resources) == has_instances
    assert "SpotFleetRole" not in resources


def test_the_spot_fleet_role_is_made_where_batch_asks_for_it() -> None:
    resources = make_template(FURTHER[0])["Resources"]
    compute = resources["ComputeEnvironment"]["Properties"]["ComputeResources"]
    assert compute["SpotIamFleetRole"] == {"Fn::GetAtt": ["SpotFleetRole", "Arn"]}
    assert compute["BidPercentage"] == 60
    assert "SpotFleetRole" in resources


@pytest.mark.parametrize(
    ("gpu", "architecture", "types", "image"),
    [
        (False, "amd64", ["optimal"], "ECS_AL2023"),
        (False, "arm64", ["c6g", "m6g", "r6g"], "ECS_AL2023"),
        (True, "amd64", ["g4dn"], "ECS_AL2023_NVIDIA"),
    ],
)
def test_instances_follow_gpus_and_architecture(
    gpu: bool, architecture: str, types: list[str], image: str
) -> None:
    options = StackOptions(gpu=gpu, architecture=architecture)
    compute = properties(options, "ComputeEnvironment")["ComputeResources"]
    assert compute["InstanceTypes"] == types
    assert compute["Ec2Configuration"] == [{"ImageType": image}]


def test_what_changes_in_place_has_a_name_and_what_cannot_has_another() -> None:
    def name(options: StackOptions) -> tuple[str, object]:
        found = properties(options, "ComputeEnvironment")
        return found["ComputeEnvironmentName"], found.get("ReplaceComputeEnvironment")

    assert name(StackOptions()) == name(StackOptions(platform="spot")) == ("dask-knot-ec2", False)
    assert name(StackOptions(platform="fargate")) == ("dask-knot-fargate", False)
    assert name(StackOptions(allocation_strategy="BEST_FIT")) == (
        "dask-knot-ec2-ec2-best-fit",
        None,
    )


@pytest.mark.parametrize("options", COMBINATIONS + FURTHER, ids=label)
def test_everything_that_can_have_tags_has_ours(options: StackOptions) -> None:
    untagged = {
        "AWS::S3::BucketPolicy",
        "AWS::IAM::InstanceProfile",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::Route",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::EC2::VPCEndpoint",
    }
    for name, resource in make_template(options)["Resources"].items():
        if resource["Type"] not in untagged:
            assert '"dask-knot"' in json.dumps(resource["Properties"]["Tags"]), name


def test_jobs_can_be_entered_only_where_that_is_chosen() -> None:
    closed, opened = (make_template(StackOptions(shell=one)) for one in (False, True))
    assert "ssmmessages" not in json.dumps(closed)
    assert "Shell" not in closed["Outputs"]
    (policy,) = properties(StackOptions(shell=True), "JobRole")["Policies"]
    (channels,) = [
        one
        for one in policy["PolicyDocument"]["Statement"]
        if "ssmmessages:OpenDataChannel" in one["Action"]
    ]
    assert sorted(channels["Action"]) == [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ]
    assert opened["Outputs"]["Shell"] == {"Value": "true"}


def test_what_is_there_already_is_used_and_not_made() -> None:
    template = make_template(
        StackOptions(
            existing_bucket="theirs",
            existing_queue="their-queue",
            existing_job_role="arn:aws:iam::123456789012:role/r",
        )
    )
    builds = ["BuildRole", "Builder"]
    assert sorted(template["Resources"]) == [*builds, "ExecutionRole", "LogGroup", "Repository"]
    assert "Parameters" not in template
    assert template["Outputs"]["Bucket"] == {"Value": "theirs"}
    assert template["Outputs"]["Queue"] == {"Value": "their-queue"}
    assert template["Outputs"]["JobRole"] == {"Value": "arn:aws:iam::123456789012:role/r"}
    assert "ComputeEnvironment" not in template["Outputs"]


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        (StackOptions(), {"ServiceRole", "Subnets", "Vpc"}),
        (StackOptions(vpc="new"), {"ServiceRole"}),
        (FURTHER[1], {"ServiceRole", "Subnets"}),
    ],
    ids=["default", "new", "own"],
)
def test_the_parameters_are_what_only_aws_knows(
    options: StackOptions, parameters: set[str]
) -> None:
    assert set(make_template(options)["Parameters"]) == parameters


def test_the_same_options_make_the_same_template() -> None:
    assert json.dumps(make_template(FURTHER[0])) == json.dumps(make_template(FURTHER[0]))
