"""Policies: all that is called is allowed, and not more than this stack."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest

from dask_knot.aws.doctor import examine
from dask_knot.aws.operator import Location, operator_policy
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import parse_outputs, read_outputs
from dask_knot.aws.permissions import LOOK
from dask_knot.aws.policy import BUILD, ENTER, NETWORK, PRICES, PUSH, user_policy
from dask_knot.aws.removal import down, find_data
from dask_knot.aws.rules import PLATFORMS
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.aws.status import read_status
from dask_knot.aws.template import make_template
from tests.aws.account import account, sign_in, unheard
from tests.aws.formation import OUTPUTS, described
from tests.aws.permissions import actions, allows, recorded
from tests.rig.handlers import NOT_OURS, is_ours, permissions, without_property

GROUPS = ("sg-01234567",)
ROLE = "arn:aws:iam::123456789012:role/theirs"
HERE = Location("aws", "eu-west-1", "123456789012")
USER = user_policy(parse_outputs(described()))
#: Resources of another stack, of another account and of another prefix.
FOREIGN = [
    ("batch:SubmitJob", "arn:aws:batch:eu-west-1:123456789012:job-queue/other"),
    ("batch:SubmitJob", "arn:aws:batch:eu-west-1:123456789012:job-definition/other-1:1"),
    ("batch:RegisterJobDefinition", "arn:aws:batch:eu-west-1:123456789012:job-definition/x"),
    ("batch:TerminateJob", "arn:aws:batch:us-east-1:123456789012:job/1"),
    ("s3:GetObject", "arn:aws:s3:::bucket-1/other/object"),
    ("s3:GetObject", "arn:aws:s3:::bucket-2/knot/object"),
    ("s3:ListBucket", "arn:aws:s3:::bucket-2"),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
    ("logs:GetLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:/x:log-stream:y"),
    ("ecr:PutImage", "arn:aws:ecr:eu-west-1:123456789012:repository/other"),
    ("cloudformation:DescribeStacks", "arn:aws:cloudformation:eu-west-1:123456789012:stack/x/1"),
]
OWN = [
    ("batch:SubmitJob", OUTPUTS["Queue"]),
    ("batch:SubmitJob", "arn:aws:batch:eu-west-1:123456789012:job-definition/dask-knot-1c-ab:1"),
    (
        "batch:RegisterJobDefinition",
        "arn:aws:batch:eu-west-1:123456789012:job-definition/dask-knot-1c",
    ),
    ("batch:TerminateJob", "arn:aws:batch:eu-west-1:123456789012:job/1"),
    ("batch:TagResource", "arn:aws:batch:eu-west-1:123456789012:job/1"),
    ("batch:DescribeJobs", "*"),
    ("s3:PutObject", "arn:aws:s3:::bucket-1/knot/run/object"),
    ("s3:ListBucket", "arn:aws:s3:::bucket-1"),
    ("iam:PassRole", OUTPUTS["JobRole"]),
    ("iam:PassRole", OUTPUTS["ExecutionRole"]),
    (
        "logs:GetLogEvents",
        "arn:aws:logs:eu-west-1:123456789012:log-group:/dask-knot/dask-knot:log-stream:a/b/c",
    ),
    ("ecr:PutImage", "arn:aws:ecr:eu-west-1:123456789012:repository/dask-knot"),
    (
        "cloudformation:DescribeStacks",
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/dask-knot/1",
    ),
]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


@pytest.mark.parametrize(("action", "resource"), OWN)
def test_users_may_work_in_their_stack(action: str, resource: str) -> None:
    assert allows(USER, action, resource)


@pytest.mark.parametrize(("action", "resource"), FOREIGN)
def test_users_may_not_reach_beyond_it(action: str, resource: str) -> None:
    assert not allows(USER, action, resource)


def test_users_may_not_push_images_unless_they_shall() -> None:
    without = user_policy(parse_outputs(described()), pushes=False)
    assert actions(USER) - actions(without) == set(PUSH)


def test_users_may_not_ask_for_prices_unless_they_shall() -> None:
    asking = user_policy(parse_outputs(described()), prices=True)
    assert actions(asking) - actions(USER) == set(PRICES)
    assert all(allows(asking, action, "*") for action in PRICES)


def test_users_may_not_look_at_the_network_unless_they_shall() -> None:
    looking = user_policy(parse_outputs(described()), network=True)
    assert actions(looking) - actions(USER) == set(NETWORK)
    assert all(allows(looking, action, "*") for action in NETWORK)


def test_users_of_a_key_may_use_it() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert allows(user_policy(parse_outputs(described(KmsKey=key))), "kms:Decrypt", key)
    assert not [action for action in actions(USER) if action.startswith("kms:")]


BUILDER = "arn:aws:codebuild:eu-west-1:123456789012:project/dask-knot-builder"


@pytest.mark.parametrize("action", BUILD)
def test_users_who_push_may_build_in_the_project_of_the_stack_only(action: str) -> None:
    outputs = parse_outputs(described(Builder="dask-knot-builder"))
    policy = user_policy(outputs)
    assert allows(policy, action, BUILDER)
    assert not allows(policy, action, BUILDER.replace("dask-knot-builder", "other"))
    assert not allows(USER, action, BUILDER)  # this stack has none
    assert not allows(user_policy(outputs, pushes=False), action, BUILDER)


def test_without_a_project_operators_may_make_none() -> None:
    granted = actions(operator_policy(StackOptions(remote_build=False), HERE))
    assert not [action for action in granted if action.startswith("codebuild:")]


CLUSTER = "AWSBatch-dask-knot-ec2-0a1b2c3d"
ENTERED = [f"cluster/{CLUSTER}", f"task/{CLUSTER}/0123"]


@pytest.mark.parametrize("action", ENTER)
def test_users_may_enter_jobs_only_where_the_stack_says_so(action: str) -> None:
    policy = user_policy(parse_outputs(described(Shell="true")))
    arn = "arn:aws:ecs:eu-west-1:123456789012:"
    assert all(allows(policy, action, arn + one) for one in ENTERED)
    assert not any(allows(USER, action, arn + one) for one in ENTERED)
    others = [one.replace("dask-knot-ec2", "another") for one in ENTERED]
    assert not any(allows(policy, action, arn + one) for one in others)
    assert actions(policy) - actions(USER) == set(ENTER)


def test_the_clusters_of_machines_on_demand_behind_spot_are_entered_too() -> None:
    arn = "arn:aws:batch:eu-west-1:123456789012:compute-environment/dask-knot-ec2-spot-best-fit"
    policy = user_policy(parse_outputs(described(Shell="true", ComputeEnvironment=arn)))
    for cluster in ("dask-knot-ec2-spot-best-fit_Batch_1", "dask-knot-ec2-on-demand_Batch_2"):
        task = f"arn:aws:ecs:eu-west-1:123456789012:task/{cluster}/1"
        assert allows(policy, "ecs:ExecuteCommand", task)


def test_beside_a_queue_that_was_there_the_cluster_is_not_known() -> None:
    policy = user_policy(parse_outputs(described(Shell="true", ComputeEnvironment=None)))
    assert allows(policy, "ecs:ExecuteCommand", "arn:aws:ecs:eu-west-1:123456789012:task/a/1")
    assert not allows(policy, "ecs:ExecuteCommand", "arn:aws:ecs:us-east-1:123456789012:task/a/1")


def test_a_queue_that_is_only_a_name_is_in_the_region_of_the_stack() -> None:
    policy = user_policy(parse_outputs(described(Queue="theirs")))
    assert allows(
        policy, "batch:SubmitJob", "arn:aws:batch:eu-west-1:123456789012:job-queue/theirs"
    )


def test_all_that_reading_a_stack_calls_is_allowed_to_users(session: AwsSession) -> None:
    up(session, StackOptions(), unheard)
    with recorded(session) as needed:
        outputs = read_outputs(session, "dask-knot")
        read_status(session, outputs)
        list(examine(session, "dask-knot"))
    assert "s3:ListBucket" in needed
    assert needed - actions(user_policy(outputs, network=True)) == set()
    assert {"ec2:DescribeRouteTables", "ec2:DescribeNetworkAcls"} <= needed


OPTIONS = [
    StackOptions(platform=platform, vpc=vpc)
    for platform, vpc in itertools.product(PLATFORMS, ("default", "new"))
] + [
    StackOptions(platform="spot", allocation_strategy="BEST_FIT", existing_bucket="theirs"),
    StackOptions(
        vpc="vpc-01234567", subnets=("subnet-01234567",), security_groups=("sg-01234567",)
    ),
    StackOptions(platform="fargate", vpc="vpc-01234567", security_groups=GROUPS),
    StackOptions(existing_queue="theirs"),
    StackOptions(existing_queue="q", existing_bucket="b-1", existing_job_role=ROLE),
    StackOptions(
        platform="spot",
        on_demand_vcpus=64,
        permissions_boundary="arn:aws:iam::123456789012:policy/edge",
        existing_execution_role=ROLE,
        existing_instance_profile="arn:aws:iam::123456789012:instance-profile/theirs",
        existing_repository="theirs",
        existing_launch_template="lt-0123456789abcdef0",
        placement_group="close",
        container_insights="enhanced",
        capacity_minutes=30,
        file_systems=("fs-0123456789abcdef0",),
    ),
    StackOptions(
        remote_build=False,
        existing_job_role=ROLE,
        existing_execution_role=ROLE,
        existing_instance_profile="arn:aws:iam::123456789012:instance-profile/theirs",
    ),
]


def kinds(options: StackOptions) -> set[str]:
    """Name the kinds of resources in a stack."""
    return {one["Type"] for one in make_template(options)["Resources"].values()}


def label(options: StackOptions) -> str:
    return " ".join(f"{name}={value}" for name, value in options.changed().items()) or "default"


def test_all_that_up_and_down_call_is_allowed_to_operators(session: AwsSession) -> None:
    options = StackOptions(platform="spot", instance_types=("c6i",))
    with recorded(session) as needed:
        outputs = up(session, options, unheard)
        session.client("s3").put_object(Bucket=outputs.bucket, Key="knot/a", Body=b"")
        needed.discard("s3:PutObject")
        find_data(session, "dask-knot")
        down(session, "dask-knot", unheard)
    assert {"cloudformation:CreateStack", "s3:DeleteObject", "ec2:DescribeVpcs"} <= needed
    assert needed - actions(operator_policy(options, HERE)) == set()


#: What `up` and `down` call themselves, and no handler of CloudFormation's.
CALLED = {
    *(f"cloudformation:{name}" for name in ("CreateStack", "DeleteStack", "UpdateStack")),
    *(f"cloudformation:{name}" for name in ("DescribeStackEvents", "DescribeStacks")),
    "cloudformation:ContinueUpdateRollback",  # after an update that could not be rolled back
    "cloudformation:GetTemplate",  # to keep the data
    "cloudformation:ListStackResources",
    "ec2:DescribeAccountAttributes",  # Fn::GetAZs
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    *(f"ec2:{name}" for name in LOOK[0]),
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "iam:CreateServiceLinkedRole",
    "iam:ListRoles",
    "iam:PassRole",
    "batch:DescribeJobDefinitions",
    "batch:DeregisterJobDefinition",
    "batch:DescribeJobs",  # whose jobs are they, in a queue that the stack didn't make
    "batch:ListJobs",
    "batch:TerminateJob",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucketVersions",
}


@pytest.mark.parametrize("options", OPTIONS, ids=label)
def test_operators_may_do_what_cloudformation_does_for_them_and_no_more(
    options: StackOptions,
) -> None:
    granted = {action.lower() for action in actions(operator_policy(options, HERE))}
    published = set().union(*(permissions(kind) for kind in kinds(options)))
    needed = {action for action in published if is_ours(action)}
    needed -= {one.lower() for one in without_property(json.dumps(make_template(options)))}
    missing = {action for action in needed if not any(fnmatch(action, one) for one in granted)}
    assert missing == set()
    called = {action.lower() for action in CALLED}
    assert {one for one in granted - called if not any(fnmatch(a, one) for a in needed)} == set()


def test_what_is_left_out_is_published_and_not_allowed() -> None:
    everything = set().union(*(permissions(kind) for one in OPTIONS for kind in kinds(one)))
    granted = {action.lower() for one in OPTIONS for action in actions(operator_policy(one, HERE))}
    for pattern in NOT_OURS:
        assert any(re.fullmatch(pattern, action) for action in everything), pattern
        found = [one for one in granted if re.fullmatch(pattern, one.replace("*", ""))]
        assert found == [], pattern


@pytest.mark.parametrize("options", OPTIONS, ids=label)
def test_operators_are_kept_to_their_account(options: StackOptions) -> None:
    for statement in operator_policy(options, HERE)["Statement"]:
        if statement["Resource"] == "*":
            verbs = {action.partition(":")[2][:4] for action in statement["Action"]}
            assert verbs <= {"Desc", "List"}, statement["Sid"]


def test_operators_may_use_what_there_is_already_and_not_make_it() -> None:
    options = StackOptions(existing_bucket="theirs", existing_queue="q")
    granted = actions(operator_policy(options, HERE))
    assert not [one for one in granted if one.startswith(("s3:", "ec2:", "batch:Create"))]


def test_a_bucket_with_a_name_is_the_only_one() -> None:
    policy = operator_policy(StackOptions(bucket="mine"), HERE)
    assert allows(policy, "s3:CreateBucket", "arn:aws:s3:::mine")
    assert not allows(policy, "s3:CreateBucket", "arn:aws:s3:::dask-knot-bucket-1")


def test_a_role_can_be_given_no_other_policy_of_aws() -> None:
    (found,) = [
        one
        for one in operator_policy(StackOptions(), HERE)["Statement"]
        if one["Sid"] == "AwsPolicies"
    ]
    (arn,) = found["Condition"]["ArnEquals"]["iam:PolicyARN"]
    assert arn.endswith("AmazonEC2ContainerServiceforEC2Role")


@pytest.mark.parametrize("policy", [USER, *(operator_policy(one, HERE) for one in OPTIONS)])
def test_aws_would_take_the_policy(policy: dict[str, object]) -> None:
    text = json.dumps(policy)
    assert len(text.replace(" ", "")) <= 6144  # a managed policy has no more
    assert policy["Version"] == "2012-10-17"
    sids = [one["Sid"] for one in policy["Statement"]]  # type: ignore[attr-defined]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


def test_without_credentials_the_policy_is_for_any_account() -> None:
    policy = operator_policy(StackOptions())
    assert allows(policy, "iam:CreateRole", "arn:aws:iam::999999999999:role/dask-knot-JobRole-1")
