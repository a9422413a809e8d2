"""The network of a stack that is there, by what Batch says of its compute environments."""

from __future__ import annotations

from collections.abc import Iterable

from dask_knot.aws.network.chart import Described, Fault, Needs
from dask_knot.aws.network.choice import is_looked_up
from dask_knot.aws.network.faults import find_faults
from dask_knot.aws.network.reading import read_chart
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession, translated
from dask_knot.batch.queues import describe_queue


def review(session: AwsSession, outputs: StackOutputs) -> tuple[int, list[Fault]]:
    """Look at the network of a stack's jobs.

    Returns
    -------
    subnets : int
        How many subnets they may be in.
    faults : list of Fault
        What is wrong there.

    Raises
    ------
    AwsError
        If AWS refuses to say, or doesn't answer.
    """
    with translated():
        environments = describe_queue(session.client("batch"), outputs.queue)[1]
    return inspect(session, outputs, environments)


def inspect(
    session: AwsSession, outputs: StackOutputs, environments: Iterable[Described]
) -> tuple[int, list[Fault]]:
    """Look at the network of compute environments; see `review`."""
    needs = dict.fromkeys(needs_there(outputs, one) for one in environments)
    faults: dict[Fault, None] = {}
    for one in needs:
        with translated():
            chart = read_chart(session.client("ec2"), one)
        faults.update(dict.fromkeys(find_faults(chart, one)))
    return len({id for one in needs for id in one.subnets}), list(faults)


def needs_there(outputs: StackOutputs, environment: Described) -> Needs:
    """Tell what the jobs of a compute environment need; one of one's own has no network here."""
    resources = environment.get("computeResources", {})
    is_fargate = str(resources.get("type", "")).startswith("FARGATE")
    # Beside another's queue there is another's launch template, which may give addresses.
    is_ours = outputs.compute_environment is not None
    return Needs(
        tuple(resources.get("subnets", ())),
        tuple(resources.get("securityGroupIds", ())),
        is_fargate,
        gets_address=outputs.has_public_ip if is_fargate else not is_ours,
        types=tuple(filter(is_looked_up, resources.get("instanceTypes", ()))),
        services=("ssmmessages",) if outputs.has_shell else (),
        account=str(environment.get("computeEnvironmentArn", ":" * 4)).split(":")[4],
    )
