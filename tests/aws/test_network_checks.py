"""What `up` and the doctor make of faults of a network: nothing is made, or a line is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from dask_knot.aws.doctor import Finding, Verdict, examine
from dask_knot.aws.network.choice import check_new_zones
from dask_knot.aws.options import StackOptions
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.errors import AccessError, StackError
from tests.aws.account import REGION, account, make_queue, sign_in, unheard
from tests.aws.formation import Pages
from tests.aws.formation import refusal as refused
from tests.aws.networks import INSIDE, Network, tcp


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


@pytest.fixture
def network(session: AwsSession) -> Network:
    return Network(session.client("ec2"))


def options(network: Network, **more: Any) -> StackOptions:
    given = {"subnets": (network.public, network.private), "security_groups": (network.group,)}
    return StackOptions(vpc=network.vpc, **(given | more))


def refusal(session: AwsSession, wanted: StackOptions) -> str:
    with pytest.raises(StackError) as caught:
        up(session, wanted, unheard)
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []
    return str(caught.value)


def test_up_refuses_subnets_in_which_nothing_can_run(session: AwsSession, network: Network) -> None:
    network.unroute(network.private_table)
    network.let_out(network.group)
    said = refusal(session, options(network))
    assert f"{network.private}: it has no way out" in said
    assert "don't let HTTPS out" in said
    assert said.count("→") == 2
    assert f"The other subnets work: --subnets {network.public}" in said
    up(session, options(network, check_network=False), unheard)


def test_up_leaves_out_what_nobody_asked_for(session: AwsSession, network: Network) -> None:
    network.unroute(network.private_table)
    said: list[str] = []
    wanted = options(network, subnets=())
    outputs = up(session, wanted, lambda event: said.append(f"{event.status} {event.kind}"))
    (note,) = [line for line in said if line.startswith("NOTE")]
    assert f"{network.private}: it has no way out" in note
    assert "Not used" in note
    found = session.client("batch").describe_compute_environments(
        computeEnvironments=[outputs.compute_environment]
    )["computeEnvironments"]
    assert found[0]["computeResources"]["subnets"] == [network.public]


def test_up_refuses_a_default_vpc_that_lost_its_gateway(session: AwsSession) -> None:
    ec2 = session.client("ec2")
    (table,) = ec2.describe_route_tables()["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    said = refusal(session, StackOptions())
    assert "no default route" in said
    assert "--vpc new" in said


@pytest.mark.parametrize(("zones", "is_told"), [("ab", False), ("bc", False), ("c", True)])
def test_a_new_network_may_have_no_zone_with_the_types(zones: str, is_told: bool) -> None:
    class Offers:
        def get_paginator(self, call: str) -> Pages:
            found = [{"Location": f"{REGION}{zone}"} for zone in zones]
            return Pages([{"InstanceTypeOfferings": found}])

        def describe_availability_zones(self) -> dict[str, Any]:
            return {"AvailabilityZones": [{"ZoneName": f"{REGION}{zone}"} for zone in "cab"]}

    said: list[str] = []
    check_new_zones(Offers(), StackOptions(vpc="new", instance_types=("c6i",)), said.append)
    assert len(said) == is_told
    assert all(f"they are in {REGION}c" in line for line in said)


def network_lines(session: AwsSession) -> list[Finding]:
    return [one for one in examine(session, "dask-knot") if one.what == "network"]


def test_the_doctor_has_a_line_for_each_fault(session: AwsSession, network: Network) -> None:
    up(session, options(network), unheard)
    (good,) = network_lines(session)
    assert (good.verdict, good.text) == (Verdict.GOOD, "2 subnets, from which jobs reach AWS")
    network.unroute(network.private_table)
    network.give_addresses(network.public, False)
    network.set_dns("Support", False)
    network.let_out(network.group, tcp(443, INSIDE))
    network.acl_rule(network.make_acl(network.private), 100, True, (0, 65535))
    found = network_lines(session)
    assert [one.verdict for one in found] == [Verdict.UNSURE, *[Verdict.BAD] * 4]
    words = " ".join(one.text for one in found)
    for part in ("only to some addresses", "doesn't resolve names", "public address", "no way out"):
        assert part in words
    assert "blocks answers" in words
    assert all(one.cure for one in found)


def test_who_may_not_look_is_told_what_to_ask_for(
    session: AwsSession, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(session, options(network), unheard)
    ec2 = session.client("ec2")

    def refuse(*_: Any, **__: Any) -> None:
        said = "not authorized to perform: ec2:DescribeSubnets"
        raise refused(said, "UnauthorizedOperation", "DescribeSubnets")

    monkeypatch.setattr(ec2, "get_paginator", refuse)
    (found,) = network_lines(session)
    assert found.verdict is Verdict.UNSURE
    assert "ec2:DescribeSubnets" in found.text + found.cure
    assert "dask knot policy --user --network" in found.cure


def test_up_of_who_may_not_look_says_how_to_do_without(
    session: AwsSession, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = session.client("ec2")
    asked = ec2.get_paginator

    def refuse(call: str) -> Any:
        if call != "describe_vpc_endpoints":
            return asked(call)
        said = "not authorized to perform: ec2:DescribeVpcEndpoints"
        raise refused(said, "UnauthorizedOperation", "DescribeVpcEndpoints")

    monkeypatch.setattr(ec2, "get_paginator", refuse)
    with pytest.raises(AccessError, match=r"DescribeVpcEndpoints.*--no-check-network"):
        up(session, options(network), unheard)
    up(session, options(network, check_network=False), unheard)


def test_a_vpc_that_is_shared_may_say_nothing_of_its_names(
    session: AwsSession, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(session, options(network), unheard)

    def refuse(**_: Any) -> None:
        raise refused("does not exist", "InvalidVpcID.NotFound", "DescribeVpcAttribute")

    monkeypatch.setattr(session.client("ec2"), "describe_vpc_attribute", refuse)
    assert [one.verdict for one in network_lines(session)] == [Verdict.GOOD]


def test_an_endpoint_that_cannot_be_reached_is_a_line_and_hides_no_other(
    session: AwsSession, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(session, options(network), unheard)

    def away(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://ec2.eu-west-1.amazonaws.com/")

    monkeypatch.setattr(session.client("ec2"), "get_paginator", away)
    found = list(examine(session, "dask-knot"))
    (line,) = [one for one in found if one.what == "network"]
    assert line.verdict is Verdict.UNSURE
    assert "can't be reached" in line.text + line.cure
    assert {one.what for one in found} >= {"queue", "bucket", "compute environment"}


def test_a_queue_of_somebody_else_is_looked_at_too(session: AwsSession) -> None:
    make_queue(session, "theirs")
    up(session, StackOptions(existing_queue="theirs"), unheard)
    (found,) = network_lines(session)  # it is unmanaged, so nothing is known of its machines
    assert found.verdict is Verdict.GOOD
