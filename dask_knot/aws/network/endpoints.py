"""VPC endpoints: which services of AWS are reached through them, and what is wrong with them. Pure.

Source: AWS PrivateLink Guide, "Access an AWS service using an interface endpoint"; Amazon ECS
Developer Guide and Amazon ECR User Guide, "interface VPC endpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from dask_knot.aws.network.chart import Chart, Described, Fault, Needs
from dask_knot.aws.network.filters import lets_in
from dask_knot.aws.network.paths import has_way_out, is_for_ipv6_only, ways_elsewhere

#: Domains of partitions differ; all have the region before the service.
_PREFIX = re.compile(r"^.*?\.[a-z]+(-[a-z]+)+-\d+\.")
#: States of endpoints that are but remembered.
_GONE = ("deleting", "deleted")


def service_of(endpoint: Described) -> str:
    """Name the service of an endpoint, such as ``ecr.api``."""
    return _PREFIX.sub("", str(endpoint.get("ServiceName", "")))


def _is_gateway(endpoint: Described) -> bool:
    return endpoint.get("VpcEndpointType") == "Gateway"


def of_subnet(chart: Chart, subnet: Described) -> list[Described]:
    """Give the endpoints that a subnet uses: those of its VPC, or of its route table."""
    table = chart.table_of(subnet["SubnetId"], subnet["VpcId"])
    id = None if table is None else table["RouteTableId"]
    return [
        one
        for one in chart.endpoints
        if one.get("VpcId") == subnet["VpcId"]
        and _state(one) not in _GONE
        and (id in one.get("RouteTableIds", ()) if _is_gateway(one) else True)
    ]


def _state(endpoint: Described) -> str:
    return str(endpoint.get("State", "available")).lower()


def _has_name(endpoint: Described) -> bool:
    """Tell whether the name of its service leads to an endpoint, asked from within the VPC."""
    options = endpoint.get("DnsOptions") or {}
    is_for_others = options.get("PrivateDnsOnlyForInboundResolverEndpoint")
    return bool(endpoint.get("PrivateDnsEnabled")) and not is_for_others


def covers(chart: Chart, needs: Needs, subnet: Described) -> bool:
    """Tell whether all services are reached by endpoints, so that no other way is needed."""
    usable = {
        service_of(one)
        for one in of_subnet(chart, subnet)
        if _state(one) == "available" and (_is_gateway(one) or _has_name(one))
    }
    return usable.issuperset(needs.all_services)


def missing(chart: Chart, needs: Needs, subnet: Described) -> list[str]:
    """Name the services that a subnet without a way out does not reach."""
    there = {service_of(one) for one in of_subnet(chart, subnet)}
    return [one for one in needs.all_services if one not in there]


def private_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say what a subnet lacks that has no way out, so that it needs endpoints."""
    lacking, id = missing(chart, needs, subnet), str(subnet["SubnetId"])
    table = chart.table_of(id, subnet["VpcId"])
    where = f" in {table['RouteTableId']}" if table is not None else ""
    if lacking and (doubt := _doubt(needs, subnet, ways_elsewhere(table))):
        yield Fault(
            f"it has no default route{where}, and no VPC endpoints of its own for "
            f"{', '.join(lacking)}, but {doubt}",
            "make sure that jobs reach these services there, by their usual names",
            (id,),
            is_sure=False,
        )
    elif len(lacking) == len(needs.all_services):
        route = "a default route for IPv6 only" if is_for_ipv6_only(table) else "no default route"
        yield Fault(
            f"it has no way out: {route}{where}, and no VPC endpoints",
            "give it a route to a NAT gateway, or use public subnets; `dask knot up --vpc "
            "new` makes a network that works",
            (id,),
        )
    elif lacking:
        yield Fault(
            f"it has no default route, and no VPC endpoints for {', '.join(lacking)}",
            "make them (S3 as a gateway endpoint of this route table is free), or give it a route "
            "to a NAT gateway",
            (id,),
        )


def _doubt(needs: Needs, subnet: Described, ways: Sequence[str]) -> str:
    """Say what may lead to services of AWS all the same, where that can't be looked at."""
    owner = str(subnet.get("OwnerId", ""))
    if needs.account and owner and owner != needs.account:
        return f"its VPC belongs to account {owner}, whose endpoints can't be seen from here"
    return f"there are routes to {', '.join(ways)}" if ways else ""


def endpoint_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say what is wrong with the endpoints that a subnet uses; a NAT gateway doesn't help then.

    With private names all traffic to a service goes to its endpoint.
    """
    used = _in_use(chart, needs, subnet)
    for one in used:
        yield from _own_faults(chart, subnet, one)
    found = [one for one in used if not _is_gateway(one) and _has_name(one)]
    yield from _deaf_faults(chart, needs, subnet, found)


def _in_use(chart: Chart, needs: Needs, subnet: Described) -> list[Described]:
    """Give the endpoints that are asked: of several for a service, those that are found."""
    found = []
    for service in needs.all_services:
        some = [one for one in of_subnet(chart, subnet) if service_of(one) == service]
        there = [one for one in some if _state(one) == "available"] or some
        found += [one for one in there if _is_gateway(one) or _has_name(one)] or there
    return found


def _own_faults(chart: Chart, subnet: Described, endpoint: Described) -> Iterator[Fault]:
    name, id = _name(endpoint), str(subnet["SubnetId"])
    state = str(endpoint.get("State", "available"))
    if _state(endpoint) != "available":
        yield Fault(f"{name} is {state}", "create it again, or accept it if it's pending", (id,))
    elif not (
        _is_gateway(endpoint)
        or _has_name(endpoint)
        or has_way_out(chart, subnet)  # nobody uses it then
    ):
        yield Fault(
            f"{name} has no private DNS name, so jobs can't find it",
            "turn on its private DNS name, unless your own hosted zone has a name for it",
            (id,),
            is_sure=False,
        )
    if _is_restricted(endpoint):
        yield Fault(
            f"{name} has its own policy, which may refuse jobs",
            f"allow in it what jobs use: {_used(service_of(endpoint))}",
            (id,),
            is_sure=False,
        )


def _deaf_faults(
    chart: Chart, needs: Needs, subnet: Described, endpoints: Iterable[Described]
) -> Iterator[Fault]:
    """Say which endpoints let nobody in from a subnet: those with the same groups in one line."""
    by_groups: dict[tuple[str, ...], list[str]] = {}
    for one in endpoints:
        groups = tuple(sorted(str(each["GroupId"]) for each in one.get("Groups", ())))
        by_groups.setdefault(groups, []).append(service_of(one))
    address = str(subnet["CidrBlock"]).partition("/")[0]
    for groups, services in by_groups.items():
        found = chart.groups_of(groups)
        # The stack's own group isn't there yet: whoever lets groups in won't let it in.
        if found and not lets_in(found, address, needs.groups):
            yield Fault(
                f"the VPC endpoints of {', '.join(services)} don't let HTTPS in from here: "
                f"their security group is {', '.join(groups)}",
                "allow TCP 443 in it from the subnets of jobs",
                (str(subnet["SubnetId"]),),
            )


def _name(endpoint: Described) -> str:
    return f"the VPC endpoint {endpoint['VpcEndpointId']} of {service_of(endpoint)}"


def _is_restricted(endpoint: Described) -> bool:
    """Tell whether an endpoint has another policy than that which allows everything."""
    text = endpoint.get("PolicyDocument")
    if not text:
        return False
    try:
        statements = json.loads(str(text))["Statement"]
    except (ValueError, KeyError, TypeError):
        return True
    listed = statements if isinstance(statements, list) else [statements]
    return not any(
        one.get("Effect") == "Allow"
        and not one.get("Condition")
        and "*" in _listed(one.get("Action"))
        and "*" in _listed(one.get("Resource", "*"))
        for one in listed
    ) or any(one.get("Effect") == "Deny" for one in listed)


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [value]


def _used(service: str) -> str:
    if service == "s3":
        return (
            "the stack's bucket, and GetObject of ECR's layers (prod-REGION-starport-layer-bucket)"
        )
    return f"all actions of {service.partition('.')[0].partition('-')[0]}"
