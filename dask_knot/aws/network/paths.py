"""The way from a subnet to the internet: routes, NAT gateways, public addresses. Pure.

Source: Amazon VPC User Guide, "Configure route tables", "Internet gateways", "NAT gateways".
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from dask_knot.aws.network.chart import Chart, Described, Fault, Needs

#: What a route may lead to beside the two kinds of gateways that can be looked at.
ELSEWHERE = (
    *("TransitGatewayId", "InstanceId", "NetworkInterfaceId", "VpcPeeringConnectionId"),
    *("CarrierGatewayId", "LocalGatewayId", "CoreNetworkArn"),
)
_NAT = "in private subnets jobs need a route to a NAT gateway, or VPC endpoints"


def default_route(table: Described | None) -> Described | None:
    """Give the route of a table that leads to all addresses, or to half of them."""
    routes = [] if table is None else table.get("Routes", ())
    wide = [
        route
        for route in routes
        if (block := route.get("DestinationCidrBlock"))
        and ip_network(str(block), strict=False).prefixlen <= 1
    ]
    return min(wide, key=lambda one: str(one["DestinationCidrBlock"])) if wide else None


def is_for_ipv6_only(table: Described | None) -> bool:
    """Tell whether a table has a default route for IPv6, and none for IPv4."""
    routes = [] if table is None else table.get("Routes", ())
    has_one = any(route.get("DestinationIpv6CidrBlock") == "::/0" for route in routes)
    return has_one and default_route(table) is None


def ways_elsewhere(table: Described | None) -> list[str]:
    """Name what a table leads to that can't be looked at: services of AWS may be reached there."""
    routes = [] if table is None else table.get("Routes", ())
    found = (_target(one) for one in routes if one.get("State") != "blackhole" and _is_strange(one))
    return list(dict.fromkeys(found))


def _is_strange(route: Described) -> bool:
    # A gateway endpoint's route is a list of addresses, that of a VPN is not.
    is_vpn = str(route.get("GatewayId", "")).startswith("vgw-")
    return is_vpn or any(route.get(name) for name in ELSEWHERE)


def has_way_out(chart: Chart, subnet: Described) -> bool:
    """Tell whether there is a route out of a subnet that leads anywhere."""
    route = default_route(chart.table_of(subnet["SubnetId"], subnet["VpcId"]))
    return route is not None and route.get("State") != "blackhole"


def path_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say what is wrong with a subnet's route to the internet, if it has one."""
    id, vpc = str(subnet["SubnetId"]), str(subnet["VpcId"])
    table = chart.table_of(id, vpc)
    route = default_route(table)
    if route is None or table is None:
        return
    where = f"in the route table {table['RouteTableId']}"
    target = _target(route)
    if route.get("State") == "blackhole":
        yield Fault(
            f"the default route {where} leads to {target}, which no longer exists (blackhole)",
            f"point it at a target that exists; {_NAT}",
            (id,),
        )
    elif target.startswith("igw-"):
        yield from _address_faults(needs, subnet)
    elif target.startswith("nat-"):
        yield from _gateway_faults(chart, target, id)


def _target(route: Described) -> str:
    for name in ("GatewayId", "NatGatewayId", *ELSEWHERE):
        if route.get(name):
            return str(route[name])
    return "something"


def _address_faults(needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say whether what runs in a public subnet has no public address."""
    id = str(subnet["SubnetId"])
    if needs.is_fargate and not needs.gets_address:
        yield Fault(
            "it is a public subnet, where jobs on Fargate can't reach anything without a "
            "public address",
            "run `dask knot up --public-ip`, or use private subnets with a NAT gateway",
            (id,),
        )
    elif not (needs.is_fargate or needs.gets_address or subnet.get("MapPublicIpOnLaunch")):
        yield Fault(
            "it is a public subnet that gives instances no public address "
            "(MapPublicIpOnLaunch is off), so they can't reach anything",
            f"run `aws ec2 modify-subnet-attribute --subnet-id {id} "
            "--map-public-ip-on-launch`, or use private subnets with a NAT gateway",
            (id,),
        )


def _gateway_faults(chart: Chart, nat: str, id: str) -> Iterator[Fault]:
    """Say what is wrong with the NAT gateway of a subnet."""
    gateway = next((one for one in chart.gateways if one["NatGatewayId"] == nat), None)
    if gateway is None:  # it is another account's, in a VPC that is shared
        return
    state = str(gateway.get("State", "available"))
    if state not in ("available", "pending"):
        yield Fault(
            f"its NAT gateway {nat} is {state}",
            "create another one and point the route at it",
            (id,),
        )
    elif gateway.get("ConnectivityType") == "private" and not _leads_elsewhere(chart, gateway):
        yield Fault(
            f"its NAT gateway {nat} is private, and doesn't lead to the internet",
            "create a public NAT gateway and point the route at it",
            (id,),
        )
    elif gateway.get("ConnectivityType") != "private":
        yield from _home_faults(chart, gateway, id)


def _leads_elsewhere(chart: Chart, gateway: Described) -> bool:
    """Tell whether a private NAT gateway hands on to a network that has a way out for all."""
    return bool(ways_elsewhere(_home_table(chart, gateway)))


def _home_table(chart: Chart, gateway: Described) -> Described | None:
    """Give the table of the subnet that a NAT gateway is in; a regional one is in none."""
    home = gateway.get("SubnetId")
    return chart.table_of(str(home), str(gateway.get("VpcId", ""))) if home else None


def _home_faults(chart: Chart, gateway: Described, id: str) -> Iterator[Fault]:
    """Say whether a NAT gateway is itself in a subnet without a way out."""
    table = _home_table(chart, gateway)
    route = default_route(table)
    # A firewall may stand between it and the internet gateway.
    is_lost = route is None or route.get("State") == "blackhole" or "NatGatewayId" in route
    if table is not None and is_lost:
        yield Fault(
            f"its NAT gateway {gateway['NatGatewayId']} is in {gateway['SubnetId']}, which has no "
            "route to an "
            "internet gateway",
            "put the NAT gateway into a public subnet, or give its subnet the route (in "
            f"{table['RouteTableId']})",
            (id,),
        )
