"""The parts of an account that are no stack's: networks, service-linked roles, instance types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dask_knot.aws.network.choice import Caution, check_new_zones, choose_subnets, is_looked_up
from dask_knot.aws.options import StackOptions
from dask_knot.aws.prerequisites import check_existing
from dask_knot.aws.session import AwsSession, translate, translated
from dask_knot.aws.template.roles import linked_services
from dask_knot.errors import ConfigurationError, StackError
from dask_knot.extras import extra

with extra():
    from botocore.exceptions import ClientError

#: AWS's own names of architectures.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


def find_parameters(session: AwsSession, options: StackOptions, say: Caution) -> dict[str, str]:
    """Find the parameters of the template, and what would let the stack fail late.

    Makes the service-linked roles that Batch needs, once for all of the account.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    options : StackOptions
        What the user chose.
    say : callable
        Told what may not work.

    Raises
    ------
    ConfigurationError
        If an instance type doesn't exist in the region, or has another architecture; or if
        something that is there already isn't.
    StackError
        If there is no network to use, or jobs could not run in it.
    AwsError
        If AWS refuses to say.
    """
    check_existing(session, options)
    if options.existing_queue is not None:
        return {}
    with translated():
        check_instance_types(session.client("ec2"), options)
        parameters = _network(session, options, say)
        return parameters | {"ServiceRole": _service_roles(session.client("iam"), options)}


def check_instance_types(ec2: Any, options: StackOptions) -> None:
    """Raise ConfigurationError for an instance type that jobs can't have."""
    for name in filter(is_looked_up, options.instance_types):
        pattern = name if "." in name else f"{name}.*"
        found = _instance_types(ec2, pattern)
        if not found:
            raise ConfigurationError(
                f"there is no instance type {name!r} in {ec2.meta.region_name}: give types such as "
                "c6i.xlarge or families such as c6i (`aws ec2 describe-instance-type-offerings` "
                "lists them)"
            )
        wanted = ARCHITECTURES[options.architecture]
        if all(wanted not in one["ProcessorInfo"]["SupportedArchitectures"] for one in found):
            raise ConfigurationError(
                f"instances of type {name!r} are not {options.architecture}: choose another "
                "architecture or other types"
            )


def _instance_types(ec2: Any, pattern: str) -> list[dict[str, Any]]:
    pages = ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "instance-type", "Values": [pattern]}]
    )
    return [one for page in pages for one in page["InstanceTypes"]]


def _network(session: AwsSession, options: StackOptions, say: Caution) -> dict[str, str]:
    ec2 = session.client("ec2")
    if options.vpc == "new":
        if options.check_network:
            check_new_zones(ec2, options, say)
        return {}
    vpc = _default_vpc(ec2) if options.vpc == "default" else options.vpc
    subnets = list(options.subnets) or [one["SubnetId"] for one in _subnets(ec2, vpc)]
    if not subnets:
        raise StackError(
            f"{vpc} has no subnets: make some, or let `dask knot up` make a VPC with --vpc new"
        )
    if options.check_network:
        account = session.identity()["Account"]
        subnets = [*choose_subnets(ec2, options, subnets, say, account)]
    # Each parameter that the template has, and no other: CloudFormation refuses those.
    parameters = {"Subnets": ",".join(sorted(subnets))}
    return parameters if options.security_groups else parameters | {"Vpc": vpc}


def _default_vpc(ec2: Any) -> str:
    found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise StackError(
            f"the account has no default VPC in {ec2.meta.region_name}: let `dask knot up` "
            "make one with --vpc new, or name yours with --vpc vpc-..."
        )
    return str(found[0]["VpcId"])


def _subnets(ec2: Any, vpc: str) -> Iterator[dict[str, Any]]:
    pages = ec2.get_paginator("describe_subnets").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}]
    )
    for page in pages:
        yield from page["Subnets"]


def _service_roles(iam: Any, options: StackOptions) -> str:
    """Make the roles that AWS services give themselves; return the ARN of that of Batch."""
    *_, of_batch = (_service_role(iam, f"{one}.amazonaws.com") for one in linked_services(options))
    return of_batch


def _service_role(iam: Any, service: str) -> str:
    path = f"/aws-service-role/{service}/"
    for _ in range(2):
        if found := iam.list_roles(PathPrefix=path)["Roles"]:
            return str(found[0]["Arn"])
        try:
            return str(iam.create_service_linked_role(AWSServiceName=service)["Role"]["Arn"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidInput":  # somebody was faster
                raise translate(error) from error
    raise StackError(
        f"the service-linked role of {service} couldn't be created: create it in the AWS console"
    )
