"""The network of jobs: a VPC of their own, or a part of one; a security group with no way in."""

from __future__ import annotations

from typing import Any

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.words import Resource, ref, sub, tag_list

CIDR = "10.0.0.0/16"
#: One for each zone. Every region has two; more find more capacity, but not every region has them.
SUBNETS = ("10.0.0.0/18", "10.0.64.0/18")


def network(options: StackOptions) -> dict[str, Resource]:
    """Make the VPC, if it is to be a new one, and the security group, if none is given."""
    resources = _new_vpc(options) if options.vpc == "new" else {}
    if not options.security_groups:
        resources["SecurityGroup"] = _security_group(options)
    return resources


def subnets(options: StackOptions) -> object:
    """Refer to the subnets of the jobs."""
    if options.vpc == "new":
        return [ref(f"Subnet{zone}") for zone in range(len(SUBNETS))]
    return ref("Subnets")


def security_groups(options: StackOptions) -> list[object]:
    """Refer to the security groups of the jobs."""
    return list(options.security_groups) or [ref("SecurityGroup")]


def _security_group(options: StackOptions) -> Resource:
    return _resource(
        "EC2::SecurityGroup",
        GroupDescription=f"Jobs of {options.name}: nothing comes in",
        VpcId=ref("Vpc"),
        SecurityGroupEgress=[
            {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0", "Description": "Everything goes out"}
        ],
        Tags=tag_list(options),
    )


def _new_vpc(options: StackOptions) -> dict[str, Resource]:
    tags = tag_list(options, Name=options.name)
    resources = {
        "Vpc": _resource(
            "EC2::VPC", CidrBlock=CIDR, EnableDnsSupport=True, EnableDnsHostnames=True, Tags=tags
        ),
        "Gateway": _resource("EC2::InternetGateway", Tags=tags),
        "GatewayAttachment": _resource(
            "EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")
        ),
        "RouteTable": _resource("EC2::RouteTable", VpcId=ref("Vpc"), Tags=tags),
        "DefaultRoute": {
            **_resource(
                "EC2::Route",
                RouteTableId=ref("RouteTable"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=ref("Gateway"),
            ),
            "DependsOn": "GatewayAttachment",
        },
        # Traffic to S3 through it is free, and stays inside AWS.
        "S3Endpoint": _resource(
            "EC2::VPCEndpoint",
            VpcId=ref("Vpc"),
            VpcEndpointType="Gateway",
            ServiceName=sub("com.amazonaws.${AWS::Region}.s3"),
            RouteTableIds=[ref("RouteTable")],
        ),
    }
    for zone, addresses in enumerate(SUBNETS):
        resources[f"Subnet{zone}"] = _subnet(zone, addresses, tags)
        resources[f"Subnet{zone}Routes"] = _resource(
            "EC2::SubnetRouteTableAssociation",
            SubnetId=ref(f"Subnet{zone}"),
            RouteTableId=ref("RouteTable"),
        )
    return resources


def _subnet(zone: int, addresses: str, tags: list[dict[str, object]]) -> Resource:
    return _resource(
        "EC2::Subnet",
        VpcId=ref("Vpc"),
        CidrBlock=addresses,
        AvailabilityZone={"Fn::Select": [zone, {"Fn::GetAZs": ""}]},
        MapPublicIpOnLaunch=True,
        Tags=tags,
    )


def _resource(kind: str, **properties: Any) -> Resource:
    return {"Type": f"AWS::{kind}", "Properties": properties}
