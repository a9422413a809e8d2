"""What a stack is to use, but is missing or elsewhere, is refused before anything is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dask_knot.aws.options import StackOptions
from dask_knot.aws.prerequisites import bucket_region, check_existing
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from dask_knot.errors import AwsError, ConfigurationError
from tests.aws.account import REGION, account, make_queue, sign_in, unheard
from tests.aws.formation import FakeSession, refusal

EDGE = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)
ROLE = "arn:aws:iam::123456789012:role/"
PROFILE, POLICY = ROLE.replace("role", "instance-profile"), ROLE.replace("role", "policy")
KEY = f"arn:aws:kms:{REGION}:123456789012:key/"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"existing_bucket": "nobody"}, "there is no bucket nobody: create it"),
        ({"existing_bucket": "far-away"}, "is in us-west-2, and the jobs are in eu-west-1"),
        ({"existing_queue": "nobody"}, "there is no job queue 'nobody' in eu-west-1"),
        (
            {"existing_job_role": f"{ROLE}nobody"},
            "there is no role arn:.*/nobody in eu-west-1",
        ),
        ({"encryption": f"{KEY}0123"}, "there is no KMS key arn:.*/0123: name an existing one"),
        ({"encryption": KEY.replace(REGION, "us-west-2") + "1"}, "key .* is in us-west-2, and"),
        ({"volume_key": f"{KEY}0123"}, "there is no KMS key .* leave out volume_key"),
        ({"existing_execution_role": f"{ROLE}nobody"}, "leave out existing_execution_role"),
        ({"existing_instance_profile": f"{PROFILE}nobody"}, "there is no instance profile arn"),
        ({"existing_repository": "nobody"}, "there is no repository nobody in eu-west-1"),
        ({"existing_launch_template": "lt-0123456789abcdef0"}, "there is no launch template lt-"),
        ({"permissions_boundary": f"{POLICY}nobody"}, "there is no policy arn:.*/nobody in"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_made(
    given: dict[str, str], message: str, session: AwsSession
) -> None:
    far = open_aws_session(region="us-west-2")
    where: Any = {"LocationConstraint": "us-west-2"}
    far.client("s3").create_bucket(Bucket="far-away", CreateBucketConfiguration=where)
    far.close()
    with pytest.raises(ConfigurationError, match=message):
        up(session, StackOptions(**given), unheard)
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []


def test_a_key_that_is_disabled_is_refused(session: AwsSession) -> None:
    kms = session.client("kms")
    made = kms.create_key()["KeyMetadata"]
    key = made["Arn"]
    check_existing(session, StackOptions(encryption=key))
    kms.disable_key(KeyId=made["KeyId"])
    with pytest.raises(ConfigurationError, match="is Disabled and can't encrypt"):
        check_existing(session, StackOptions(encryption=key))


def test_what_is_there_is_taken(session: AwsSession) -> None:
    where: Any = {"LocationConstraint": REGION}
    session.client("s3").create_bucket(Bucket="theirs", CreateBucketConfiguration=where)
    session.client("iam").create_role(RoleName="theirs", AssumeRolePolicyDocument="{}")
    make_queue(session, "theirs")
    given = {"existing_bucket": "theirs", "existing_queue": "theirs"}
    check_existing(session, StackOptions(**given, existing_job_role=f"{ROLE}theirs"))


def test_what_is_there_for_instances_is_taken(session: AwsSession) -> None:
    iam, ec2 = session.client("iam"), session.client("ec2")
    iam.create_instance_profile(InstanceProfileName="theirs")
    iam.create_policy(PolicyName="theirs", PolicyDocument=EDGE)
    session.client("ecr").create_repository(repositoryName="theirs")
    made = ec2.create_launch_template(
        LaunchTemplateName="theirs", LaunchTemplateData={"KeyName": "me"}
    )
    id = made["LaunchTemplate"]["LaunchTemplateId"]
    options = StackOptions(
        existing_instance_profile=f"{PROFILE}theirs",
        existing_repository="theirs",
        existing_launch_template=f"{id}:1",
        permissions_boundary=f"{POLICY}theirs",
    )
    check_existing(session, options)


class Refusing:
    """Refuses every call with the same code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __getattr__(self, call: str) -> Any:
        def refuse(**_: Any) -> None:
            error = refusal("no", self.code, call)
            error.response["ResponseMetadata"] = {"HTTPHeaders": {}}  # type: ignore[typeddict-item]
            raise error

        return refuse


EXISTING = [
    StackOptions(existing_bucket="theirs"),
    StackOptions(existing_queue="theirs"),
    StackOptions(existing_job_role=f"{ROLE}theirs"),
    StackOptions(encryption=f"{KEY}0123"),
    StackOptions(existing_repository="theirs", volume_key=f"{KEY}0123", placement_group="theirs"),
    StackOptions(existing_launch_template="lt-0123456789abcdef0"),
    StackOptions(
        existing_instance_profile=f"{PROFILE}theirs", permissions_boundary=f"{POLICY}theirs"
    ),
]
SERVICES = ("s3", "batch", "iam", "kms", "ecr", "ec2")


@pytest.mark.parametrize("options", EXISTING)
def test_who_may_not_look_is_believed(options: StackOptions) -> None:
    services = {name: Refusing("AccessDenied") for name in SERVICES}
    check_existing(FakeSession(**services), options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", EXISTING[1:])
def test_an_aws_that_refuses_otherwise_is_not(options: StackOptions) -> None:
    services = {name: Refusing("InternalError") for name in SERVICES}
    with pytest.raises(AwsError, match="InternalError"):
        check_existing(FakeSession(**services), options)  # type: ignore[arg-type]


def test_a_placement_group_that_is_not_there_is_refused() -> None:
    services: Any = {"ec2": Refusing("InvalidPlacementGroup.Unknown")}
    with pytest.raises(ConfigurationError, match="there is no placement group far in eu"):
        check_existing(FakeSession(**services), StackOptions(placement_group="far"))


def test_a_bucket_of_somebody_else_says_where_it_is() -> None:
    class Theirs:
        def head_bucket(self, **_: str) -> None:
            error = refusal("Forbidden", "403", "HeadBucket")
            headers = {"x-amz-bucket-region": "us-west-2"}
            error.response["ResponseMetadata"] = {"HTTPHeaders": headers}  # type: ignore[typeddict-item]
            raise error

    assert bucket_region(Theirs(), "theirs") == "us-west-2"
