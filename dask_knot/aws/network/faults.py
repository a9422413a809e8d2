"""All that is wrong with the network of jobs, put together: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dask_knot.aws.network.chart import Chart, Described, Fault, Needs
from dask_knot.aws.network.endpoints import (
    covers,
    endpoint_faults,
    of_subnet,
    private_faults,
    service_of,
)
from dask_knot.aws.network.filters import (
    EPHEMERAL,
    HTTPS,
    is_all_out,
    lets_out,
    lets_some,
    refused_ports,
)
from dask_knot.aws.network.paths import default_route, has_way_out, path_faults

#: An address of AWS, whichever: rules that tell it from others aren't for this.
OUTSIDE = "52.95.110.1"
#: Fewer free addresses than so many are soon used up.
FEW = 8
_AMONG = "S3, ECR, CloudWatch and ECS must be among them"


def find_faults(chart: Chart, needs: Needs) -> list[Fault]:
    """Say what is wrong with the network of jobs.

    Parameters
    ----------
    chart : Chart
        What EC2 says of it.
    needs : Needs
        What jobs need of it.

    Returns
    -------
    list of Fault
        One for each kind and place; what is the same in several subnets is one.
    """
    found = [*_there(chart, needs), *_group_faults(chart, needs), *_dns_faults(chart, needs)]
    found += _merged(
        fault for subnet in chart.subnets for fault in _subnet_faults(chart, needs, subnet)
    )
    return [*found, *_type_faults(chart, needs)]


def _merged(faults: Iterable[Fault]) -> list[Fault]:
    """Make one of all faults with the same words."""
    subnets: dict[Fault, list[str]] = {}
    for one in faults:
        subnets.setdefault(Fault(one.text, one.cure, (), one.is_sure), []).extend(one.subnets)
    return [
        Fault(one.text, one.cure, tuple(dict.fromkeys(ids)), one.is_sure)
        for one, ids in subnets.items()
    ]


def _there(chart: Chart, needs: Needs) -> Iterator[Fault]:
    """Say what isn't there, or is elsewhere."""
    known = {str(one["SubnetId"]) for one in chart.subnets}
    if gone := [id for id in needs.subnets if id not in known]:
        yield Fault(
            f"there is no subnet {', '.join(gone)}",
            "name existing subnets (`aws ec2 describe-subnets`), in this region and account",
        )
    if len(chart.vpcs) > 1:
        yield Fault(
            f"the subnets are in several VPCs: {', '.join(chart.vpcs)}",
            "give subnets of one VPC",
        )
    found = chart.groups_of(needs.groups)
    if lost := [id for id in needs.groups if id not in {one["GroupId"] for one in found}]:
        yield Fault(
            f"there is no security group {', '.join(lost)}",
            "name existing groups (`aws ec2 describe-security-groups`)",
        )
    if other := [str(one["GroupId"]) for one in found if one.get("VpcId") not in chart.vpcs]:
        yield Fault(
            f"the security groups {', '.join(other)} belong to another VPC than the subnets",
            f"give groups of {' or '.join(chart.vpcs) or 'the VPC of the subnets'}",
        )


def _group_faults(chart: Chart, needs: Needs) -> Iterator[Fault]:
    groups = chart.groups_of(needs.groups)
    names = ", ".join(needs.groups)
    if groups and not lets_out(groups):
        yield Fault(
            f"the security groups of jobs ({names}) don't let HTTPS out",
            "allow TCP 443 to 0.0.0.0/0 in their outbound rules",
        )
    elif groups and not is_all_out(groups):
        yield Fault(
            f"the security groups of jobs ({names}) let HTTPS out only to some addresses",
            _AMONG,
            is_sure=False,
        )


def _dns_faults(chart: Chart, needs: Needs) -> Iterator[Fault]:
    for vpc, (has_dns, has_names) in chart.dns.items():
        modify = f"`aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-"
        if not has_dns:
            yield Fault(
                f"{vpc} doesn't resolve names (enableDnsSupport is off), so jobs can't find AWS",
                f"run {modify}support`, unless its DHCP options name a DNS server that does",
            )
        private = [
            one
            for one in chart.endpoints
            if one.get("VpcId") == vpc
            and one.get("VpcEndpointType") == "Interface"
            and one.get("PrivateDnsEnabled")
            and service_of(one) in needs.all_services
        ]
        if private and has_dns and not has_names:
            yield Fault(
                f"{vpc} gives no DNS names (enableDnsHostnames is off), so jobs can't find "
                "its endpoints",
                f"run {modify}hostnames`",
            )


def _subnet_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    id, vpc = str(subnet["SubnetId"]), str(subnet["VpcId"])
    if not subnet.get("CidrBlock"):
        yield Fault(
            "it has only IPv6 addresses, and jobs reach S3, ECR and ECS over IPv4",
            "use subnets that have both",
            (id,),
            is_sure=not subnet.get("EnableDns64"),
        )
        return
    if not covers(chart, needs, subnet):
        yield from path_faults(chart, needs, subnet)
        if default_route(chart.table_of(id, vpc)) is None:
            yield from private_faults(chart, needs, subnet)
    yield from endpoint_faults(chart, needs, subnet)
    yield from _acl_faults(chart, subnet)
    yield from _room_faults(needs, subnet)


def _acl_faults(chart: Chart, subnet: Described) -> Iterator[Fault]:
    acl, id = chart.acl_of(str(subnet["SubnetId"])), str(subnet["SubnetId"])
    if acl is None:
        return
    name = f"its network ACL {acl['NetworkAclId']}"
    # Where there are endpoints only, S3 is still outside: its gateway endpoint is but a route.
    is_outside = has_way_out(chart, subnet) or bool(of_subnet(chart, subnet))
    address = OUTSIDE if is_outside else str(subnet["CidrBlock"]).partition("/")[0]
    if refused_ports(acl, address, True, (HTTPS, HTTPS)):
        yield from _closed(acl, name, id)
    if refused := refused_ports(acl, address, False, EPHEMERAL):
        yield Fault(
            f"{name} blocks answers: it doesn't let TCP in to ports from {refused[0]} up",
            "allow TCP 1024-65535 in its inbound rules (an ACL doesn't track connections)",
            (id,),
            is_sure=not lets_some(acl, OUTSIDE, False, refused[0]),
        )


def _closed(acl: Described, name: str, id: str) -> Iterator[Fault]:
    if lets_some(acl, OUTSIDE, True, HTTPS):
        yield Fault(f"{name} lets HTTPS out only to some addresses", _AMONG, (id,), is_sure=False)
    else:
        yield Fault(f"{name} doesn't let HTTPS out", "allow TCP 443 in its outbound rules", (id,))


def _room_faults(needs: Needs, subnet: Described) -> Iterator[Fault]:
    free, id = subnet.get("AvailableIpAddressCount"), str(subnet["SubnetId"])
    if free is None or int(free) >= FEW:
        return
    each = "job" if needs.is_fargate else "instance"
    yield Fault(
        f"it has {free} free addresses, and each {each} needs one",
        "use more or larger subnets",
        (id,),
        is_sure=False,  # those that use them now may be ours
    )


def _type_faults(chart: Chart, needs: Needs) -> Iterator[Fault]:
    """Say which zones have none of the instance types; one of them is enough for each."""
    zones = {zone for each in chart.offers.values() for zone in each}
    if not zones:  # whether there are such types at all is looked up before
        return
    without = {
        str(one["SubnetId"]): str(one["AvailabilityZone"])
        for one in chart.subnets
        if str(one["AvailabilityZone"]) not in zones
    }
    if not without:
        return
    is_everywhere = len(without) == len(chart.subnets)
    places = ", ".join(sorted(set(without.values())))
    yield Fault(
        f"there are no instances of type {', '.join(needs.types)} in {places}",
        f"give subnets in {', '.join(sorted(zones))}, or other --instance-types",
        tuple(without),
        is_sure=is_everywhere,
    )
