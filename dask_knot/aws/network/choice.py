"""The subnets that a stack gets: looked at before it is made, and those left out that won't do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dask_knot.aws.network.chart import Chart, Fault, Needs
from dask_knot.aws.network.faults import find_faults
from dask_knot.aws.network.reading import read_chart, read_zones
from dask_knot.aws.options import StackOptions
from dask_knot.aws.refusals import REFUSALS, translate
from dask_knot.errors import AccessError, StackError

Caution = Callable[[str], None]
#: So many zones has a network that the stack makes: the first ones.
NEW_ZONES = 2


def is_looked_up(instance_type: str) -> bool:
    """Tell whether EC2 is asked for a type; Batch chooses among the others itself."""
    return instance_type != "optimal" and not instance_type.startswith("default_")


def needs_of(options: StackOptions, subnets: Sequence[str], account: str = "") -> Needs:
    """Tell what the jobs of a stack that is to be made need of its network."""
    is_fargate = options.family == "fargate"
    secrets = {arn.split(":")[2] for arn in options.secrets}
    return Needs(
        tuple(subnets),
        options.security_groups,
        is_fargate,
        # A launch template of the user's own may give instances one.
        gets_address=options.public_ip if is_fargate else bool(options.existing_launch_template),
        types=tuple(filter(is_looked_up, options.instance_types)),
        services=(*sorted(secrets), *(("ssmmessages",) if options.shell else ())),
        account=account,
    )


def choose_subnets(
    ec2: Any, options: StackOptions, subnets: Sequence[str], say: Caution, account: str = ""
) -> Sequence[str]:
    """Give those of some subnets in which jobs can run.

    Parameters
    ----------
    ec2 : Any
        boto3's EC2 client.
    options : StackOptions
        What the user chose; subnets that he has named himself are taken, or refused, as they are.
    subnets : sequence of str
        The subnets that there are to choose from.
    say : callable
        Told what is left out, and what may not work.
    account : str
        The account that asks, if it is known.

    Raises
    ------
    StackError
        If jobs can't run there: all that is wrong, each with its cure.
    """
    needs = needs_of(options, subnets, account)
    faults = find_faults(_look(ec2, needs), needs)
    sure = [one for one in faults if one.is_sure]
    bad = {id for one in sure for id in one.subnets}
    left = [id for id in subnets if id not in bad]
    if any(not one.subnets for one in sure) or not left or (bad and options.subnets):
        raise StackError(_refusal(sure, left if options.subnets else ()))
    for one in sure:
        say(f"{one.line}. Not used; {one.cure}")
    for one in faults:
        if not one.is_sure and (not one.subnets or set(one.subnets) & set(left)):
            say(f"{one.line}. {one.cure}")
    return left


def _look(ec2: Any, needs: Needs) -> Chart:
    """Read the chart; who may not is told how to do without."""
    try:
        return read_chart(ec2, needs)
    except REFUSALS as error:
        refused = translate(error)
        if not isinstance(refused, AccessError):
            raise
        raise AccessError(
            f"{refused}. Or make the stack without this check: --no-check-network"
        ) from error


def _refusal(faults: Sequence[Fault], left: Sequence[str]) -> str:
    lines = ["jobs couldn't run in this network, so nothing was made:"]
    for one in faults:
        lines += [f"  {one.line}", f"    → {one.cure}"]
    if left:
        lines.append(f"The other subnets work: --subnets {','.join(left)}")
    lines.append("If you are sure that the network works, make the stack with --no-check-network")
    return "\n".join(lines)


def check_new_zones(ec2: Any, options: StackOptions, say: Caution) -> None:
    """Caution whether the zones of a network that is to be made lack all instance types."""
    types = [*filter(is_looked_up, options.instance_types)]
    if not types:
        return
    offered = {zone for name in types for zone in read_zones(ec2, name)}
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    first = sorted(str(one["ZoneName"]) for one in zones)[:NEW_ZONES]
    if offered and offered.isdisjoint(first):
        say(
            f"{' and '.join(first)}, where the new network will be, have none of the "
            f"instance types {', '.join(types)}: they are in {', '.join(sorted(offered))}. "
            "Give other --instance-types, or a network of your own with --vpc and --subnets"
        )
