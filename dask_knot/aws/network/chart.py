"""A part of an account's network as EC2 describes it, and what jobs need of it: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Described = Mapping[str, Any]

#: What a container needs before it runs: its image (the layers are in S3), its log, its values.
ALWAYS = ("s3", "ecr.api", "ecr.dkr", "logs")
#: What the agent on an instance needs to join its cluster.
INSTANCES = ("ecs", "ecs-agent", "ecs-telemetry")


@dataclass(frozen=True, slots=True)
class Needs:
    """What jobs need of a network.

    Attributes
    ----------
    subnets, groups : tuple of str
        Ids of the subnets that they may be in, and of their security groups; no group where the
        stack makes one, which lets everything out.
    is_fargate : bool
        Whether they run on Fargate.
    gets_address : bool
        Whether jobs on Fargate are given a public address; of instances, whether something else
        than the subnet may give them one (a launch template that isn't the stack's).
    types : tuple of str
        Instance types that must be offered where the subnets are; none if any will do.
    services : tuple of str
        More services of AWS that they use (``secretsmanager``, ``ssm``, ``ssmmessages``).
    account : str
        The account that asks; of a VPC that another one shares, it sees no endpoints.
    """

    subnets: tuple[str, ...]
    groups: tuple[str, ...] = ()
    is_fargate: bool = False
    gets_address: bool = False
    types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    account: str = ""

    @property
    def all_services(self) -> tuple[str, ...]:
        """All services of AWS that must be reached from the subnets."""
        return (*ALWAYS, *(() if self.is_fargate else INSTANCES), *self.services)


@dataclass(frozen=True, slots=True)
class Chart:
    """What EC2 says of subnets and of all that stands between them and AWS.

    Attributes
    ----------
    subnets, tables, acls, groups, endpoints, gateways : sequence of mappings
        Subnets, and of their VPCs: route tables, network ACLs, security groups (those of jobs and
        of endpoints), VPC endpoints, NAT gateways; as EC2 describes them.
    dns : mapping of str to (bool, bool)
        By VPC: whether it resolves names, and whether endpoints can have private names.
    offers : mapping of str to frozenset of str
        By instance type that is asked for: the zones that have it.
    """

    subnets: Sequence[Described]
    tables: Sequence[Described] = ()
    acls: Sequence[Described] = ()
    groups: Sequence[Described] = ()
    endpoints: Sequence[Described] = ()
    gateways: Sequence[Described] = ()
    dns: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def vpcs(self) -> list[str]:
        """The VPCs of the subnets."""
        return sorted({str(one["VpcId"]) for one in self.subnets})

    def table_of(self, subnet: str, vpc: str) -> Described | None:
        """Give the route table of a subnet: its own, or the main one of its VPC."""
        return _associated(self.tables, subnet) or next(
            (
                table
                for table in self.tables
                if table.get("VpcId") == vpc
                and any(one.get("Main") for one in table.get("Associations", ()))
            ),
            None,
        )

    def acl_of(self, subnet: str) -> Described | None:
        """Give the network ACL of a subnet."""
        return _associated(self.acls, subnet)

    def groups_of(self, ids: Iterable[str]) -> list[Described]:
        """Give the security groups of these ids that are there."""
        wanted = set(ids)
        return [one for one in self.groups if one["GroupId"] in wanted]


def _associated(some: Sequence[Described], subnet: str) -> Described | None:
    return next(
        (
            one
            for one in some
            if any(each.get("SubnetId") == subnet for each in one.get("Associations", ()))
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a network because of which jobs won't run, or may not.

    Attributes
    ----------
    text, cure : str
        What is wrong, and what to do.
    subnets : tuple of str
        Those it is about; none where it is about all of them.
    is_sure : bool
        Whether nothing can run there; else it is a doubt.
    """

    text: str
    cure: str
    subnets: tuple[str, ...] = ()
    is_sure: bool = True

    @property
    def line(self) -> str:
        """What is wrong, with the subnets before it."""
        return f"{', '.join(self.subnets)}: {self.text}" if self.subnets else self.text
