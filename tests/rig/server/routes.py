"""The way out of a default VPC: on AWS it has an internet gateway, in moto it has none."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend


def install() -> None:
    """Give each account's default VPC, in each region, its gateway and the route to it."""
    make = EC2Backend.__init__

    def make_with_gateway(self: Any, region_name: str, account_id: str) -> None:
        make(self, region_name, account_id)
        gateway = self.create_internet_gateway()
        self.attach_internet_gateway(gateway.id, self.default_vpc.id)
        (table,) = self.route_tables.values()
        self.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)

    EC2Backend.__init__ = make_with_gateway  # type: ignore[method-assign]
