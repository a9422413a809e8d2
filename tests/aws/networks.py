"""A network as people have them in moto's account: one that works, and what can be wrong in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dask_knot.aws.network.chart import ALWAYS, INSTANCES
from tests.aws.account import REGION

INSIDE = "10.1.0.0/16"
EVERYTHING = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


class Network:
    """A VPC with a public subnet and a private one behind a NAT gateway.

    Attributes
    ----------
    ec2 : Any
        boto3's EC2 client.
    vpc, public, private, gateway, nat, group : str
        Ids.
    public_table, private_table : str
        The route tables of the two subnets.
    """

    def __init__(self, ec2: Any) -> None:
        self.ec2 = ec2
        self.vpc = ec2.create_vpc(CidrBlock=INSIDE)["Vpc"]["VpcId"]
        self.set_dns("Support", True)
        self.set_dns("Hostnames", True)
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(VpcId=self.vpc, InternetGatewayId=self.gateway)
        self.public, self.public_table = self.subnet("10.1.1.0/24", "a")
        self.private, self.private_table = self.subnet("10.1.2.0/24", "b")
        self.give_addresses(self.public, True)
        self.route(self.public_table, GatewayId=self.gateway)
        self.nat = self.make_nat(self.public)
        self.route(self.private_table, NatGatewayId=self.nat)
        self.group = self.make_group("jobs")

    def subnet(self, block: str, zone: str) -> tuple[str, str]:
        """Make a subnet with a route table of its own."""
        made = self.ec2.create_subnet(
            VpcId=self.vpc, CidrBlock=block, AvailabilityZone=f"{REGION}{zone}"
        )["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(SubnetId=made, RouteTableId=table)
        return made, table

    def route(self, table: str, **target: str) -> None:
        """Give a route table its default route."""
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    def unroute(self, table: str) -> None:
        """Take the default route away."""
        self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")

    def make_nat(self, subnet: str, **more: str) -> str:
        """Make a NAT gateway in a subnet."""
        if more.get("ConnectivityType") != "private":
            more["AllocationId"] = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        made = self.ec2.create_nat_gateway(SubnetId=subnet, **more)
        return str(made["NatGateway"]["NatGatewayId"])

    def make_group(self, name: str, vpc: str | None = None) -> str:
        """Make a security group, which lets everything out and nothing in."""
        made = self.ec2.create_security_group(
            GroupName=name, Description=name, VpcId=vpc or self.vpc
        )
        return str(made["GroupId"])

    def let_out(self, group: str, *rules: dict[str, Any]) -> None:
        """Let a security group's members out as some rules say, and not otherwise."""
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
        if rules:
            self.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=list(rules))

    def let_in(self, group: str, block: str) -> None:
        """Let HTTPS in from addresses."""
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(443, block)])

    def give_addresses(self, subnet: str, is_on: bool) -> None:
        """Say whether instances in a subnet get public addresses."""
        self.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": is_on})

    def set_dns(self, what: str, is_on: bool) -> None:
        """Turn the resolution of names, or names of its own, on or off."""
        self.ec2.modify_vpc_attribute(VpcId=self.vpc, **{f"EnableDns{what}": {"Value": is_on}})

    def make_acl(self, subnet: str) -> str:
        """Give a subnet a network ACL of its own, which lets nothing through yet."""
        acl = self.ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"]
        pages = self.ec2.describe_network_acls(
            Filters=[{"Name": "association.subnet-id", "Values": [subnet]}]
        )["NetworkAcls"]
        (old,) = [
            one["NetworkAclAssociationId"]
            for each in pages
            for one in each["Associations"]
            if one["SubnetId"] == subnet
        ]
        self.ec2.replace_network_acl_association(AssociationId=old, NetworkAclId=acl)
        return str(acl)

    def acl_rule(
        self, acl: str, number: int, is_out: bool, ports: tuple[int, int], action: str = "allow"
    ) -> None:
        """Add a rule about TCP, from or to anywhere."""
        self.ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=number,
            Protocol="6",
            RuleAction=action,
            Egress=is_out,
            CidrBlock="0.0.0.0/0",
            PortRange={"From": ports[0], "To": ports[1]},
        )

    def endpoint(self, service: str, **more: Any) -> str:
        """Make a VPC endpoint: for S3 a gateway in the private route table, else an interface."""
        name = f"com.amazonaws.{REGION}.{service}"
        if service == "s3":
            given = {"VpcEndpointType": "Gateway", "RouteTableIds": [self.private_table], **more}
        else:
            given = {
                "VpcEndpointType": "Interface",
                "SubnetIds": [self.private],
                "PrivateDnsEnabled": True,
                "PolicyDocument": json.dumps(EVERYTHING),
                **more,
            }
        made = self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=name, **given)
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def isolate(self, services: Sequence[str] = (*ALWAYS, *INSTANCES), **more: Any) -> list[str]:
        """Leave the private subnet endpoints instead of its NAT gateway; return their ids."""
        self.unroute(self.private_table)
        guard = self.make_group("endpoints")
        self.let_in(guard, INSIDE)
        more = {"SecurityGroupIds": [guard], **more}
        return [self.endpoint(one, **({} if one == "s3" else more)) for one in services]


def tcp(port: int, block: str) -> dict[str, Any]:
    """Make a rule of a security group."""
    ranges = [{"CidrIp": block}]
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
