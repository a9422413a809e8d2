"""Asks EC2 about the network of jobs: some eight calls, each for all subnets at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dask_knot.aws.network.chart import Chart, Described, Needs
from dask_knot.aws.refusals import REFUSALS, code_of


def read_chart(ec2: Any, needs: Needs) -> Chart:
    """Ask EC2 about subnets, and about all that stands between them and AWS.

    Parameters
    ----------
    ec2 : Any
        boto3's EC2 client.
    needs : Needs
        Names the subnets, the security groups and the instance types; what isn't there is left
        out.
    """
    subnets = _all(ec2, "describe_subnets", "Subnets", "subnet-id", needs.subnets)
    vpcs = sorted({str(one["VpcId"]) for one in subnets})
    endpoints = _all(ec2, "describe_vpc_endpoints", "VpcEndpoints", "vpc-id", vpcs)
    theirs = (str(one["GroupId"]) for each in endpoints for one in each.get("Groups", ()))
    groups = {*needs.groups, *theirs}
    return Chart(
        subnets=subnets,
        tables=_all(ec2, "describe_route_tables", "RouteTables", "vpc-id", vpcs),
        acls=_all(ec2, "describe_network_acls", "NetworkAcls", "vpc-id", vpcs),
        groups=_all(ec2, "describe_security_groups", "SecurityGroups", "group-id", groups),
        endpoints=endpoints,
        gateways=_gateways(ec2, vpcs),
        dns={vpc: _dns(ec2, vpc) for vpc in vpcs},
        offers={name: read_zones(ec2, name) for name in needs.types},
    )


def _all(ec2: Any, call: str, what: str, filter: str, values: Iterable[str]) -> list[Described]:
    wanted = sorted(values)
    if not wanted:
        return []
    pages = ec2.get_paginator(call).paginate(Filters=[{"Name": filter, "Values": wanted}])
    return [one for page in pages for one in page[what]]


def _gateways(ec2: Any, vpcs: Sequence[str]) -> list[Described]:
    # This call has another word for its filters.
    pages = ec2.get_paginator("describe_nat_gateways").paginate(
        Filter=[{"Name": "vpc-id", "Values": list(vpcs)}]
    )
    return [one for page in pages for one in page["NatGateways"]] if vpcs else []


def _dns(ec2: Any, vpc: str) -> tuple[bool, bool]:
    found = []
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        try:
            answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
        except REFUSALS as error:
            if code_of(error) != "InvalidVpcID.NotFound":  # another account's, which shares it
                raise
            return True, True
        found.append(bool(answer[f"E{attribute[1:]}"]["Value"]))
    return found[0], found[1]


def read_zones(ec2: Any, name: str) -> frozenset[str]:
    """Name the zones that have an instance type, or one of a family."""
    pattern = name if "." in name else f"{name}.*"
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [pattern]}],
    )
    return frozenset(
        str(one["Location"]) for page in pages for one in page["InstanceTypeOfferings"]
    )
