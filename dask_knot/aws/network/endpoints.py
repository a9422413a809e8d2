"""VPC endpoints: which services of AWS are reached through them, and what is wrong with them. Pure.

Source: AWS PrivateLink Guide, "Access an AWS service using an interface endpoint"; Amazon ECS
Developer Guide and Amazon ECR User Guide, "interface VPC endpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from dask_knot.aws.network.chart import Chart, Described, Fault, Needs
from dask_knot.aws.network.filters import lets_in
from dask_knot.aws.network.paths import has_way_out

_PREFIX = re.compile(r"^(cn\.)?com\.amazonaws\.[a-z0-9-]+\.")


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
        and (id in one.get("RouteTableIds", ()) if _is_gateway(one) else True)
    ]


def missing(chart: Chart, needs: Needs, subnet: Described) -> list[str]:
    """Name the services that a subnet without a way out does not reach."""
    there = {service_of(one) for one in of_subnet(chart, subnet)}
    return [one for one in needs.all_services if one not in there]


def private_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say what a subnet lacks that has no way out, so that it needs endpoints."""
    lacking, id = missing(chart, needs, subnet), str(subnet["SubnetId"])
    table = chart.table_of(id, subnet["VpcId"])
    where = f" in {table['RouteTableId']}" if table is not None else ""
    if len(lacking) == len(needs.all_services):
        yield Fault(
            f"it has no way out: no default route{where}, and no VPC endpoints",
            "give it a route to a NAT gateway, or take public subnets; `dask knot up --vpc new` "
            "makes a network that works",
            (id,),
        )
    elif lacking:
        yield Fault(
            f"it has no default route, and no VPC endpoints for {', '.join(lacking)}",
            "make them (S3 as a gateway endpoint of this route table is free), or give it a route "
            "to a NAT gateway",
            (id,),
        )


def endpoint_faults(chart: Chart, needs: Needs, subnet: Described) -> Iterator[Fault]:
    """Say what is wrong with the endpoints that a subnet uses; a NAT gateway doesn't help then.

    With private names all traffic to a service goes to its endpoint.
    """
    used = [one for one in of_subnet(chart, subnet) if service_of(one) in needs.all_services]
    for one in used:
        yield from _own_faults(chart, subnet, one)
    found = [one for one in used if not _is_gateway(one) and one.get("PrivateDnsEnabled")]
    yield from _deaf_faults(chart, needs, subnet, found)


def _own_faults(chart: Chart, subnet: Described, endpoint: Described) -> Iterator[Fault]:
    name, id = _name(endpoint), str(subnet["SubnetId"])
    state = str(endpoint.get("State", "available"))
    if state.lower() != "available":
        yield Fault(f"{name} is {state}", "make it again, or accept it", (id,))
    elif not (
        _is_gateway(endpoint)
        or endpoint.get("PrivateDnsEnabled")
        or has_way_out(chart, subnet)  # nobody uses it then
    ):
        cure = "turn its private DNS name on"
        yield Fault(f"{name} has no private DNS name, so nothing finds it", cure, (id,))
    if _is_restricted(endpoint):
        yield Fault(
            f"{name} has a policy of its own, which may refuse jobs",
            f"let it allow what jobs use: {_used(service_of(endpoint))}",
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
                f"the VPC endpoints of {', '.join(services)} let no HTTPS in from here: their "
                f"security group is {', '.join(groups)}",
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
