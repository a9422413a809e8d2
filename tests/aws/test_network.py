"""Each fault of a network, made in an account, is found, told with its cure, and no other is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from dask_knot.aws.network.chart import ALWAYS, INSTANCES, Chart, Fault, Needs
from dask_knot.aws.network.endpoints import service_of
from dask_knot.aws.network.faults import find_faults
from dask_knot.aws.network.reading import read_chart
from dask_knot.aws.session import AwsSession
from tests.aws.account import REGION, account, sign_in
from tests.aws.networks import INSIDE, Network, tcp

PAGE = Path(__file__).parents[2] / "docs" / "network.md"
GONE = "subnet-01234567"


@pytest.fixture(scope="module")
def shared() -> Iterator[AwsSession]:
    """Give an account that many networks are made in: each has a VPC of its own."""
    with pytest.MonkeyPatch.context() as patch:
        sign_in(patch)
        with account() as session:
            yield session


@pytest.fixture
def own(shared: AwsSession) -> Network:
    return Network(shared.client("ec2"))


class Case(NamedTuple):
    """A fault: how it is made, what jobs need then, what of EC2's answers moto hasn't got."""

    make: Callable[[Network], Any]
    needs: Mapping[str, Any] = MappingProxyType({})
    touch: Callable[[Chart], Chart] = lambda chart: chart
    is_sure: bool = True


def without_way_out(network: Network) -> None:
    network.unroute(network.private_table)


def blackhole(chart: Chart) -> Chart:
    """Take the NAT gateway away, as EC2 tells it: its route stays."""
    return replace(
        chart, tables=[{**one, "Routes": [*map(_lost, one["Routes"])]} for one in chart.tables]
    )


def _lost(route: Any) -> Any:
    return {**route, "State": "blackhole"} if "NatGatewayId" in route else route


def nat(**changes: str) -> Callable[[Chart], Chart]:
    return lambda chart: replace(chart, gateways=[{**one, **changes} for one in chart.gateways])


def endpoint(**changes: Any) -> Callable[[Chart], Chart]:
    def touch(chart: Chart) -> Chart:
        found = [
            {**one, **changes} if one["ServiceName"].endswith("ecs-agent") else one
            for one in chart.endpoints
        ]
        return replace(chart, endpoints=found)

    return touch


def routes(**target: str) -> Callable[[Chart], Chart]:
    """Add a route to the network of a company."""
    more = {"DestinationCidrBlock": "10.0.0.0/8", "State": "active", **target}
    return lambda chart: replace(
        chart, tables=[{**one, "Routes": [*one["Routes"], more]} for one in chart.tables]
    )


def without_ipv4(chart: Chart) -> Chart:
    first, *others = chart.subnets
    return replace(chart, subnets=[{**first, "CidrBlock": ""}, *others])


def acl_lets_out(block: str) -> Callable[[Chart], Chart]:
    rule = {"Egress": True, "RuleNumber": 1, "RuleAction": "allow", "Protocol": "-1"}
    return lambda chart: replace(
        chart,
        acls=[
            {**one, "Entries": [*one["Entries"], {**rule, "CidrBlock": block}]}
            for one in chart.acls
        ],
    )


def few(count: int) -> Callable[[Chart], Chart]:
    def touch(chart: Chart) -> Chart:
        found = [{**one, "AvailableIpAddressCount": count} for one in chart.subnets]
        return replace(chart, subnets=found)

    return touch


def nat_in_a_private_subnet(network: Network) -> None:
    other, _ = network.subnet("10.1.3.0/24", "a")
    network.unroute(network.private_table)
    network.route(network.private_table, NatGatewayId=network.make_nat(other))


def egress_only(network: Network) -> None:
    ec2 = network.ec2
    made = ec2.create_egress_only_internet_gateway(VpcId=network.vpc)
    network.unroute(network.private_table)
    gateway = made["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
    ec2.create_route(
        RouteTableId=network.private_table,
        DestinationIpv6CidrBlock="::/0",
        EgressOnlyInternetGatewayId=gateway,
    )


def isolated_without(*services: str) -> Callable[[Network], None]:
    def make(network: Network) -> None:
        network.isolate([one for one in (*ALWAYS, *INSTANCES) if one not in services])

    return make


def deaf_endpoints(network: Network) -> None:
    network.isolate(SecurityGroupIds=[network.make_group("deaf")])


def isolated_without_names(network: Network) -> None:
    network.isolate()
    network.set_dns("Hostnames", False)


def acl(*rules: tuple[int, bool, tuple[int, int], str]) -> Callable[[Network], None]:
    def make(network: Network) -> None:
        made = network.make_acl(network.private)
        for rule in rules:
            network.acl_rule(made, *rule)

    return make


ALL = (0, 65535)
TYPES = {"types": ("c6i.large",)}

#: By the words of the page.
CASES: dict[str, Case] = {
    "no route to anywhere": Case(without_way_out),
    "a route to a NAT gateway that was deleted": Case(lambda _: None, touch=blackhole),
    "a route for IPv6 only": Case(egress_only),
    "a public subnet that gives no addresses": Case(
        lambda one: one.give_addresses(one.public, False)
    ),
    "a public subnet, and jobs on Fargate without an address": Case(
        lambda _: None, {"is_fargate": True}
    ),
    "a NAT gateway that failed": Case(lambda _: None, touch=nat(State="failed")),
    "a private NAT gateway": Case(lambda _: None, touch=nat(ConnectivityType="private")),
    "a NAT gateway in a subnet without a gateway": Case(nat_in_a_private_subnet),
    "endpoints that are missing": Case(isolated_without("ecs", "ecs-agent", "ecs-telemetry")),
    "no gateway endpoint for S3": Case(isolated_without("s3")),
    "an endpoint for secrets that is missing": Case(
        isolated_without(), {"services": ("secretsmanager",)}
    ),
    "an endpoint that isn't ready": Case(
        isolated_without(), touch=endpoint(State="pendingAcceptance")
    ),
    "an endpoint without a private name": Case(
        isolated_without(), touch=endpoint(PrivateDnsEnabled=False), is_sure=False
    ),
    "endpoints that may be elsewhere": Case(
        without_way_out, touch=routes(TransitGatewayId="tgw-01234567"), is_sure=False
    ),
    "endpoints of the account that shares the network": Case(
        isolated_without("logs"), {"account": "111122223333"}, is_sure=False
    ),
    "a subnet for IPv6 only": Case(lambda _: None, touch=without_ipv4),
    "endpoints that let nobody in": Case(deaf_endpoints),
    "an endpoint with a policy": Case(
        isolated_without(), touch=endpoint(PolicyDocument='{"Statement": []}'), is_sure=False
    ),
    "a VPC without names for endpoints": Case(isolated_without_names),
    "a VPC that doesn't resolve names": Case(lambda one: one.set_dns("Support", False)),
    "a network ACL that doesn't let HTTPS out": Case(
        acl((100, True, (80, 80), "allow"), (100, False, ALL, "allow"))
    ),
    "a network ACL that lets HTTPS out to some only": Case(
        acl((100, False, ALL, "allow")), touch=acl_lets_out("52.218.0.0/17"), is_sure=False
    ),
    "a network ACL that stops all answers": Case(
        acl((100, True, ALL, "allow"), (100, False, (443, 443), "allow"))
    ),
    "a network ACL that stops some answers": Case(
        acl(
            (100, True, ALL, "allow"),
            (50, False, (40000, 50000), "deny"),
            (100, False, ALL, "allow"),
        )
    ),
    "security groups that don't let HTTPS out": Case(
        lambda one: one.let_out(one.group, tcp(80, "0.0.0.0/0"))
    ),
    "security groups that let HTTPS out to some only": Case(
        lambda one: one.let_out(one.group, tcp(443, INSIDE)), is_sure=False
    ),
    "a security group of another VPC": Case(
        lambda one: setattr(one, "group", one.make_group("far", _default(one)))
    ),
    "a security group that isn't there": Case(lambda one: setattr(one, "group", "sg-01234567")),
    "a subnet that isn't there": Case(lambda one: setattr(one, "public", GONE)),
    "subnets of two VPCs": Case(lambda one: setattr(one, "public", _of_default(one))),
    "few free addresses": Case(lambda _: None, touch=few(5), is_sure=False),
    "no free address": Case(lambda _: None, touch=few(0), is_sure=False),
    "a zone without the instance type": Case(
        lambda _: None,
        TYPES,
        lambda chart: replace(chart, offers={"c6i.large": frozenset({f"{REGION}b"})}),
        is_sure=False,
    ),
    "no zone with the instance type": Case(
        lambda _: None,
        TYPES,
        lambda chart: replace(chart, offers={"c6i.large": frozenset({f"{REGION}c"})}),
    ),
}


def _default(network: Network) -> str:
    found = network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])
    return str(found["Vpcs"][0]["VpcId"])


def _of_default(network: Network) -> str:
    """Name a subnet of the default VPC; its security groups are left out of the question."""
    filters = [{"Name": "vpc-id", "Values": [_default(network)]}]
    return str(network.ec2.describe_subnets(Filters=filters)["Subnets"][0]["SubnetId"])


def faults_of(network: Network, case: Case) -> list[Fault]:
    case.make(network)
    needs = Needs((network.public, network.private), (network.group,), **case.needs)
    return find_faults(case.touch(read_chart(network.ec2, needs)), needs)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_and_no_other(own: Network, name: str) -> None:
    found = faults_of(own, CASES[name])
    assert len(found) == 1, found
    assert found[0].is_sure is CASES[name].is_sure
    assert "\n" not in found[0].line + found[0].cure
    mark = "wrong" if found[0].is_sure else "?"
    row = f"| {name} | `{mark}` | {_plain(found[0].line)} | {_plain(found[0].cure)} |"
    assert row in PAGE.read_text(), row


@pytest.mark.parametrize(
    ("make", "needs"),
    [
        (lambda _: None, {}),
        (lambda _: None, {"is_fargate": True, "gets_address": True}),
        (lambda _: None, TYPES),
        (isolated_without(), {}),
        # Fargate's agent isn't in the VPC.
        (
            isolated_without("ecs", "ecs-agent", "ecs-telemetry"),
            {"is_fargate": True, "gets_address": True},
        ),
        (lambda one: one.let_out(one.group, tcp(443, "0.0.0.0/0")), {}),
        (acl((100, True, (443, 443), "allow"), (100, False, (1024, 65535), "allow")), {}),
        (lambda one: one.set_dns("Hostnames", False), {}),
        (lambda one: one.endpoint("ecr.api", PrivateDnsEnabled=False), {}),  # nobody uses it
        # A launch template of one's own may give addresses.
        (lambda one: one.give_addresses(one.public, False), {"gets_address": True}),
    ],
    ids=[
        *("public and private", "fargate", "types", "endpoints", "endpoints of fargate"),
        *("https only", "acl", "no names", "unused endpoint", "template"),
    ],
)
def test_a_network_that_works_has_no_fault(
    own: Network, make: Callable[[Network], None], needs: dict[str, Any]
) -> None:
    assert faults_of(own, Case(make, needs)) == []


@pytest.mark.parametrize(
    "target", ["TransitGatewayId", "InstanceId", "VpcPeeringConnectionId", "NetworkInterfaceId"]
)
def test_a_way_that_cannot_be_looked_at_is_believed_to_lead_out(own: Network, target: str) -> None:
    def touch(chart: Chart) -> Chart:
        route = {"DestinationCidrBlock": "0.0.0.0/0", target: "x-1", "State": "active"}
        return replace(chart, tables=[{**one, "Routes": [route]} for one in chart.tables])

    assert faults_of(own, Case(lambda _: None, touch=touch)) == []


def regional(chart: Chart) -> Chart:
    """Let the NAT gateway be in no subnet: the main table has no route to the internet."""
    found = [{k: v for k, v in one.items() if k != "SubnetId"} for one in chart.gateways]
    return replace(chart, gateways=found)


def central(chart: Chart) -> Chart:
    """Let a private NAT gateway hand on to a transit gateway."""
    return retarget("igw-", TransitGatewayId="tgw-01234567")(nat(ConnectivityType="private")(chart))


def retarget(begin: str, **target: str) -> Callable[[Chart], Chart]:
    """Let default routes to a kind of gateway lead elsewhere."""

    def lead(route: Any) -> Any:
        is_meant = str(route.get("GatewayId", "")).startswith(begin)
        kept = {name: value for name, value in route.items() if name != "GatewayId"}
        return {**kept, **target} if is_meant else route

    return lambda chart: replace(
        chart, tables=[{**one, "Routes": [*map(lead, one["Routes"])]} for one in chart.tables]
    )


def s3_for_the_office(network: Network) -> None:
    """Add an interface endpoint for S3 that nobody in the VPC uses, as the gateway is nearer."""
    network.isolate()
    name = f"com.amazonaws.{REGION}.s3"
    network.ec2.create_vpc_endpoint(
        VpcId=network.vpc, ServiceName=name, VpcEndpointType="Interface", PrivateDnsEnabled=False
    )


def endpoints_and_a_public_subnet_without_addresses(network: Network) -> None:
    network.isolate()
    network.give_addresses(network.public, False)
    ids = [
        one["VpcEndpointId"]
        for one in network.ec2.describe_vpc_endpoints()["VpcEndpoints"]
        if one["VpcId"] == network.vpc and one["VpcEndpointType"] == "Gateway"
    ]
    for id in ids:
        network.ec2.modify_vpc_endpoint(VpcEndpointId=id, AddRouteTableIds=[network.public_table])


def remembered(chart: Chart) -> Chart:
    """Add endpoints that were deleted."""
    gone = [{**one, "State": "deleted", "PrivateDnsEnabled": False} for one in chart.endpoints]
    return replace(chart, endpoints=[*gone, *chart.endpoints])


@pytest.mark.parametrize(
    ("make", "touch"),
    [
        (lambda _: None, regional),
        (lambda _: None, central),
        (lambda _: None, retarget("igw-", GatewayId="vpce-01234567")),
        (s3_for_the_office, lambda chart: chart),
        (endpoints_and_a_public_subnet_without_addresses, lambda chart: chart),
        (isolated_without(), remembered),
    ],
    ids=[
        *("regional nat", "private nat and transit gateway", "firewall before the gateway"),
        *("endpoint for others", "endpoints are enough", "deleted endpoints"),
    ],
)
def test_networks_of_companies_have_no_fault(
    own: Network, make: Callable[[Network], None], touch: Callable[[Chart], Chart]
) -> None:
    assert faults_of(own, Case(make, touch=touch)) == []


def test_the_service_of_an_endpoint_in_any_partition() -> None:
    for name in (
        "com.amazonaws.eu-west-1.ecr.api",
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "eu.amazonaws.eusc-de-east-1.ecr.api",
        "com.amazonaws.us-gov-west-1.ecr.api",
    ):
        assert service_of({"ServiceName": name}) == "ecr.api"


def test_halves_of_all_addresses_are_all_of_them(own: Network) -> None:
    own.unroute(own.private_table)
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        own.ec2.create_route(
            RouteTableId=own.private_table, DestinationCidrBlock=half, NatGatewayId=own.nat
        )
    assert faults_of(own, Case(lambda _: None)) == []


def _plain(text: str) -> str:
    """Take numbers of resources out of a text."""
    text = re.sub(r"\b(subnet|vpc|rtb|nat|acl|sg|vpce|eigw|tgw)-[0-9a-f]{8,}", r"\1-…", text)
    return re.sub(r"(subnet-…|vpc-…)(, \1)+", r"\1, \1", text)
