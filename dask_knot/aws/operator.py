"""The IAM policy to make, change and delete a stack: pure.

CloudFormation calls AWS with the credentials of whoever calls it: `permissions` has what it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.network.choice import is_looked_up
from dask_knot.aws.options import StackOptions
from dask_knot.aws.permissions import (
    ALWAYS,
    ASK_BATCH,
    BATCH,
    BOUNDARY,
    BUCKET,
    BUILDER,
    CLOUDFORMATION,
    GROUP,
    LAUNCH,
    LOGS,
    LOOK,
    NETWORK,
    OBJECTS,
    OFFERS,
    PROFILES,
    REPOSITORY,
    ROLES,
    TYPES,
    VPCS,
)
from dask_knot.aws.policy import Policy, statement
from dask_knot.aws.template import make_template
from dask_knot.aws.template.roles import (
    INSTANCE_POLICY,
    SPOT_FLEET_POLICY,
    linked_services,
    needs_spot_fleet_role,
)
from dask_knot.aws.template.words import Statement, document
from dask_knot.extras import extra

with extra():
    from botocore.exceptions import UnknownRegionError
    from botocore.session import Session


@dataclass(frozen=True, slots=True)
class Location:
    """The place of a stack that is, or is to be; ``*`` where it isn't known yet."""

    partition: str = "aws"
    region: str = "*"
    account: str = "*"

    def arn(self, service: str, resource: str, is_global: bool = False) -> str:
        """Name a resource here."""
        region = "" if is_global else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.account}:{resource}"


def anybodys(region: str | None) -> Location:
    """Name a place of which no more than the region is known, or not even that."""
    if region is None:
        return Location()
    try:
        return Location(Session().get_partition_for_region(region), region)
    except UnknownRegionError:  # newer than botocore
        return Location(region=region)


def operator_policy(options: StackOptions, place: Location | None = None) -> Policy:
    """Make the policy for `dask knot up` and `dask knot down`, with what the options need.

    Parameters
    ----------
    options : StackOptions
        What the stack is to be.
    place : Location, optional
        Where; without it the policy is for any region and account.
    """
    place = place or Location()
    statements = [*_stack(options, place), *_iam(options, place), *_kept(options, place)]
    if options.existing_queue is None:
        statements += [*_batch(options, place), *_ec2(options, place)]
    else:
        ask = ["DescribeJobDefinitions", "DescribeJobs", "ListJobs"]
        statements.append(_allow("AskBatch", "batch", ask, "*"))
        definitions = place.arn("batch", f"job-definition/{names.job_definitions(options.name)}*")
        statements.append(_allow("Batch", "batch", ["DeregisterJobDefinition"], definitions))
    ours = {"StringEquals": {f"aws:ResourceTag/{names.TAG}": options.name}}
    statements.append(
        _allow("EndJobs", "batch", ["TerminateJob"], place.arn("batch", "job/*"), ours)
    )
    return document(statements)


def _allow(
    sid: str, service: str, actions: Sequence[str], resource: str | list[str], condition: Any = None
) -> Statement:
    return statement(sid, [f"{service}:{action}" for action in actions], resource, condition)


def _stack(options: StackOptions, place: Location) -> list[Statement]:
    stack = place.arn("cloudformation", f"stack/{options.name}/*")
    return [_allow("Stack", "cloudformation", CLOUDFORMATION, stack)]


def _iam(options: StackOptions, place: Location) -> list[Statement]:
    roles = place.arn("iam", f"role/{options.name}-*", is_global=True)
    statements = []
    if "AWS::IAM::Role" in kinds(options):
        boundary = BOUNDARY if options.permissions_boundary is not None else ()
        statements.append(_allow("Roles", "iam", [*ROLES, *boundary], roles))
    if options.existing_queue is not None:
        return statements
    linked = place.arn("iam", "role/aws-service-role/*", is_global=True)
    services = [f"{one}.amazonaws.com" for one in linked_services(options)]
    is_needed = {"StringEquals": {"iam:AWSServiceName": services}}
    batch = place.arn("iam", "role/aws-service-role/batch.amazonaws.com/*", is_global=True)
    statements += [
        _allow("FindServiceRoles", "iam", ["ListRoles"], "*"),
        _allow("MakeServiceRoles", "iam", ["CreateServiceLinkedRole"], linked, is_needed),
        _allow("UseBatchsRole", "iam", ["PassRole"], batch),
    ]
    if options.family == "ec2":
        statements += _instances(options, place, roles)
    return statements


def kinds(options: StackOptions) -> set[str]:
    """Name the kinds of resources that the stack makes."""
    return {one["Type"] for one in make_template(options)["Resources"].values()}


def _instances(options: StackOptions, place: Location, roles: str) -> list[Statement]:
    """Allow to make the profile and roles of instances, or to pass the role of one that is there.

    A profile doesn't tell the name of its role.
    """
    statements = []
    if options.existing_instance_profile is not None:
        # In China, EC2 has a name of its own.
        services = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
        passed = {"StringEquals": {"iam:PassedToService": services}}
        any_role = place.arn("iam", "role/*", is_global=True)
        statements.append(_allow("PassRoleOfProfile", "iam", ["PassRole"], any_role, passed))
    else:
        profiles = place.arn("iam", f"instance-profile/{options.name}-*", is_global=True)
        statements.append(_allow("Profiles", "iam", PROFILES, profiles))
    if policies := _managed_policies(options):
        statements.append(_managed(place, roles, policies))
    return statements


def _managed_policies(options: StackOptions) -> list[str]:
    """Name AWS's own policies that roles of the stack have."""
    own = [INSTANCE_POLICY] if options.existing_instance_profile is None else []
    return [*own, *([SPOT_FLEET_POLICY] if needs_spot_fleet_role(options) else [])]


def _managed(place: Location, roles: str, policies: Sequence[str]) -> Statement:
    """Allow to attach AWS's own policies to the roles of instances, and no others."""
    arns = [f"arn:{place.partition}:iam::aws:policy/{policy}" for policy in policies]
    only = {"ArnEquals": {"iam:PolicyARN": arns}}
    return _allow("AwsPolicies", "iam", ["AttachRolePolicy", "DetachRolePolicy"], roles, only)


def _kept(options: StackOptions, place: Location) -> list[Statement]:
    repository = place.arn("ecr", f"repository/{options.repository or options.name}")
    logs = place.arn("logs", f"log-group:{names.log_group(options.name)}")
    statements = [
        _allow("Logs", "logs", LOGS, [logs, f"{logs}:*"]),
        _allow("AskLogs", "logs", ["DescribeLogGroups", "DescribeResourcePolicies"], "*"),
    ]
    if options.remote_build:
        project = place.arn("codebuild", f"project/{names.builder(options.name)}")
        statements.append(_allow("Builder", "codebuild", BUILDER, project))
    if options.existing_repository is None:
        statements.append(_allow("Repository", "ecr", REPOSITORY, repository))
    if options.existing_bucket is None:
        # CloudFormation makes the name, unless one is given.
        bucket = f"arn:{place.partition}:s3:::{options.bucket or f'{options.name}-bucket-*'}"
        statements.append(_allow("Bucket", "s3", BUCKET, bucket))
        statements.append(_allow("Objects", "s3", OBJECTS, f"{bucket}/*"))
    return statements


def _batch(options: StackOptions, place: Location) -> list[Statement]:
    kinds = ("compute-environment", "job-queue", "job-definition")
    ours = [place.arn("batch", f"{kind}/{options.name}-*") for kind in kinds]
    return [
        _allow("AskBatch", "batch", ASK_BATCH, "*"),
        _allow("Batch", "batch", BATCH, ours),
    ]


def _ec2(options: StackOptions, place: Location) -> list[Statement]:
    has_types = any(map(is_looked_up, options.instance_types))
    is_made = (
        (True, ALWAYS),
        (has_types, TYPES),
        (has_types and options.check_network, OFFERS),
        (options.check_network and options.vpc != "new", LOOK),
        (options.vpc in ("new", "default"), VPCS),
        (not options.security_groups, GROUP),
        (options.family == "ec2" and options.existing_launch_template is None, LAUNCH),
        (options.vpc == "new", NETWORK),
    )
    parts = [part for is_needed, part in is_made if is_needed]
    asks, makes, deletes = (sorted(set(chain(*some))) for some in zip(*parts, strict=True))
    here = place.arn("ec2", "*")
    is_ours = {"StringEquals": {f"aws:ResourceTag/{names.TAG}": options.name}}
    statements = [_allow("AskEc2", "ec2", asks, "*")]
    if makes:
        statements.append(_allow("MakeInEc2", "ec2", makes, here))
        statements.append(_allow("DeleteInEc2", "ec2", deletes, here, is_ours))
    return statements
