"""An AWS account in this process: moto's, with a session to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws

from dask_knot.aws.progress import StackEvent
from dask_knot.aws.session import AwsSession, open_aws_session
from tests.rig import project

__all__ = ["REGION", "account", "make_queue", "project", "sign_in", "unheard"]

REGION = "eu-west-1"


def sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set credentials that are worth nothing, and a region."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@contextmanager
def account() -> Iterator[AwsSession]:
    """Open an account that is empty but for its default VPC."""
    with mock_aws(), warnings.catch_warnings():
        # moto makes no bucket policies, and says so.
        warnings.filterwarnings("ignore", "Tried to parse AWS::S3::BucketPolicy")
        session = open_aws_session()
        give_gateway(session.client("ec2"))
        yield session


def give_gateway(ec2: Any) -> None:
    """Give the default VPC the way out that it has on AWS; moto's has none."""
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc["VpcId"], InternetGatewayId=gateway)
    (table,) = ec2.describe_route_tables()["RouteTables"]
    ec2.create_route(
        RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
    )


def make_queue(session: AwsSession, name: str) -> None:
    """Make a job queue, as somebody else would."""
    iam, batch = session.client("iam"), session.client("batch")
    role = iam.create_role(RoleName=f"of-{name}", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = batch.create_compute_environment(
        computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}]
    batch.create_job_queue(
        jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order
    )


def unheard(event: StackEvent) -> None:
    """Take a report and do nothing."""
