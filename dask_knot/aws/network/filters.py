"""What network ACLs and security groups let through: pure.

Source: Amazon VPC User Guide, "Network ACL rules", "Ephemeral ports", "Security group rules". The
traffic to Amazon's own DNS server is never filtered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network

from dask_knot.aws.network.chart import Described

HTTPS = 443
#: The ports from which Linux asks, and to which answers come.
EPHEMERAL = (32768, 60999)
#: TCP, and everything, as EC2 writes protocols in either kind of rule.
PROTOCOLS = ("tcp", "6", "-1")


def refused_ports(acl: Described, address: str, is_out: bool, ports: tuple[int, int]) -> list[int]:
    """Name ports, one of each range of them, for which a network ACL stops TCP.

    Parameters
    ----------
    acl : mapping
        As EC2 describes it.
    address : str
        Whom the packets go to, or come from.
    is_out : bool
        Whether they leave the subnet.
    ports : (int, int)
        The first port and the last.
    """
    entries = sorted(
        (one for one in acl.get("Entries", ()) if bool(one["Egress"]) is is_out),
        key=lambda one: int(one["RuleNumber"]),
    )
    meant = [one for one in entries if _is_meant(one, address)]
    edges = {edge for one in meant for edge in _ports(one)} | {ports[0]}
    samples = sorted(edge for edge in edges if ports[0] <= edge <= ports[1])
    return [port for port in samples if not _is_let_by(meant, port)]


def lets_some(acl: Described, address: str, is_out: bool, port: int) -> bool:
    """Tell whether a network ACL lets a port through for others of the internet than one."""
    for one in acl.get("Entries", ()):
        if bool(one["Egress"]) is is_out and one["RuleAction"] == "allow" and one.get("CidrBlock"):
            first, behind = _ports(one)
            is_tcp = str(one.get("Protocol", "-1")) in PROTOCOLS
            block = ip_network(str(one["CidrBlock"]), strict=False)
            is_other = block.is_global and ip_address(address) not in block
            if is_tcp and is_other and first <= port < behind:
                return True
    return False


def _is_meant(entry: Described, address: str) -> bool:
    block = entry.get("CidrBlock")
    return (
        block is not None
        and str(entry.get("Protocol", "-1")) in PROTOCOLS
        and ip_address(address) in ip_network(str(block), strict=False)
    )


def _ports(entry: Described) -> tuple[int, int]:
    """Give the ports of a rule: its first, and the first one behind it."""
    if str(entry.get("Protocol", "-1")) == "-1" or not entry.get("PortRange"):
        return 0, 65536
    return int(entry["PortRange"]["From"]), int(entry["PortRange"]["To"]) + 1


def _is_let_by(entries: Iterable[Described], port: int) -> bool:
    """Tell what the first rule says that is about a port; without one nothing gets through."""
    for entry in entries:
        first, behind = _ports(entry)
        if first <= port < behind:
            return bool(entry["RuleAction"] == "allow")
    return False


def lets_out(groups: Iterable[Described]) -> bool:
    """Tell whether one of some security groups lets HTTPS out, to whomever."""
    return any(True for one in groups for _ in _about(one.get("IpPermissionsEgress", ())))


def is_all_out(groups: Iterable[Described]) -> bool:
    """Tell whether one of some security groups lets HTTPS out to everywhere."""
    return any(
        block.get("CidrIp") == "0.0.0.0/0"
        for one in groups
        for rule in _about(one.get("IpPermissionsEgress", ()))
        for block in rule.get("IpRanges", ())
    )


def lets_in(groups: Iterable[Described], address: str, askers: Iterable[str]) -> bool:
    """Tell whether one of some security groups lets HTTPS in from an address, or from groups."""
    wanted, source = set(askers), ip_address(address)
    for rule in (rule for one in groups for rule in _about(one.get("IpPermissions", ()))):
        pairs = {pair.get("GroupId") for pair in rule.get("UserIdGroupPairs", ())}
        blocks = (ip_network(str(one["CidrIp"]), strict=False) for one in rule.get("IpRanges", ()))
        if pairs & wanted or any(source in block for block in blocks):
            return True
        if rule.get("PrefixListIds"):  # what is in them isn't asked for
            return True
    return False


def _about(rules: Iterable[Mapping[str, object]]) -> Iterator[Described]:
    """Give the rules of a security group that are about HTTPS and let somebody through."""
    for rule in rules:
        is_any = str(rule.get("IpProtocol")) == "-1"
        is_tcp = str(rule.get("IpProtocol")) in PROTOCOLS
        first, last = rule.get("FromPort", 0), rule.get("ToPort", 65535)
        is_https = is_any or (is_tcp and int(str(first)) <= HTTPS <= int(str(last)))
        whom = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
        if is_https and any(rule.get(one) for one in whom):
            yield rule
