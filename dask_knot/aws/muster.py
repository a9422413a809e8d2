"""Counts the instances that have joined, and looks at the network of those that haven't."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from dask_knot.aws.network.review import inspect
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import REFUSALS, AwsSession, translate, translated
from dask_knot.batch.machines import Sight
from dask_knot.batch.queues import Description
from dask_knot.errors import KnotError

#: Clusters that one call describes.
AT_ONCE = 100


def look(session: AwsSession, outputs: StackOutputs, environments: Sequence[Description]) -> Sight:
    """Look at the machines of compute environments, as far as the credentials allow it.

    Parameters
    ----------
    session : AwsSession
        Credentials and region; it is closed then.
    outputs : StackOutputs
        The stack.
    environments : sequence of mappings
        The compute environments of its queue.
    """
    joined: int | None = None
    faults: tuple[str, ...] = ()
    unseen: list[str] = []
    with closing(session):
        try:
            joined = _joined(session, environments)
        except (KnotError, *REFUSALS) as error:
            unseen.append(f"whether any instances joined ({_first_line(error)})")
        if not joined:
            try:
                found = inspect(session, outputs, environments)[1]
                faults = tuple(f"{one.line} ({one.cure})" for one in found)
            except (KnotError, *REFUSALS) as error:
                why = f"the network ({_first_line(error)}); ask somebody who may run `dask knot up`"
                unseen.append(f"{why} to run `dask knot doctor`")
    return Sight(joined, faults, tuple(unseen))


def _joined(session: AwsSession, environments: Sequence[Description]) -> int | None:
    """Count the instances in the clusters of compute environments; None if there are no such."""
    arns = [str(one["ecsClusterArn"]) for one in environments if one.get("ecsClusterArn")]
    if not arns:
        return None
    with translated():
        found = session.client("ecs").describe_clusters(clusters=arns[:AT_ONCE])["clusters"]
    return sum(int(one.get("registeredContainerInstancesCount", 0)) for one in found)


def _first_line(error: Exception) -> str:
    return str(translate(error)).splitlines()[0]
