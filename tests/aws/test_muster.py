"""Who looks at machines counts those that joined, and says what keeps the others away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dask_knot.aws.muster import look
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.batch.queues import describe_queue
from tests.aws.account import account, sign_in, unheard
from tests.aws.formation import refusal
from tests.aws.networks import Network


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


@pytest.fixture
def network(session: AwsSession) -> Network:
    return Network(session.client("ec2"))


@pytest.fixture
def outputs(session: AwsSession, network: Network) -> StackOutputs:
    """Make a stack in a network that works then, and loses its way out later."""
    wanted = StackOptions(
        vpc=network.vpc, subnets=(network.private,), security_groups=(network.group,)
    )
    outputs = up(session, wanted, unheard)
    network.unroute(network.private_table)
    return outputs


def environments(session: AwsSession, outputs: StackOutputs, joined: int) -> list[Any]:
    """Describe the compute environments; so many instances have joined their cluster."""
    found = describe_queue(session.client("batch"), outputs.queue)[1]
    name = f"joined-{joined}"
    session.client("ecs").create_cluster(clusterName=name)
    return [{**one, "ecsClusterArn": name} for one in found]


class Cluster:
    """An ECS in which so many instances have joined; or it refuses to say."""

    def __init__(self, joined: int | Exception) -> None:
        self.joined = joined

    def describe_clusters(self, *, clusters: list[str]) -> dict[str, Any]:
        if isinstance(self.joined, Exception):
            raise self.joined
        return {"clusters": [{"registeredContainerInstancesCount": self.joined}]}

    def close(self) -> None:
        """Do nothing."""


def with_cluster(session: AwsSession, joined: int | Exception) -> AwsSession:
    session._clients["ecs"] = Cluster(joined)
    return session


def test_what_keeps_machines_away_is_seen(session: AwsSession, outputs: StackOutputs) -> None:
    found = look(session, outputs, environments(session, outputs, 0))
    assert (found.joined, found.unseen) == (0, ())
    (fault,) = found.faults
    assert "it has no way out" in fault
    assert "NAT gateway" in fault


def test_where_machines_have_joined_their_network_is_well(
    session: AwsSession, outputs: StackOutputs
) -> None:
    there = environments(session, outputs, 0)
    found = look(with_cluster(session, 2), outputs, there)
    assert found == (2, (), ())


def test_what_may_not_be_seen_is_said_with_the_permission(
    session: AwsSession, outputs: StackOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = environments(session, outputs, 0)
    ecs = "User: ada is not authorized to perform: ecs:DescribeClusters on resource: x"
    ec2 = "You are not authorized to perform: ec2:DescribeSubnets"

    def refuse(*_: Any, **__: Any) -> None:
        raise refusal(ec2, "UnauthorizedOperation", "DescribeSubnets")

    monkeypatch.setattr(session.client("ec2"), "get_paginator", refuse)
    denied = refusal(ecs, "AccessDeniedException", "DescribeClusters")
    found = look(with_cluster(session, denied), outputs, there)
    assert (found.joined, found.faults) == (None, ())
    joined, network = found.unseen
    assert "ecs:DescribeClusters" in joined
    assert "ec2:DescribeSubnets" in network
    assert "dask knot doctor" in network
