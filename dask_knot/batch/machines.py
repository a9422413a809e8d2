"""Machines that were asked for and never take a job, and containers that never start: in words.

Pure. Batch has no reason for these: it sees neither that an instance runs nor why it doesn't join.
Sources: AWS Batch User Guide, "Jobs stuck in a RUNNABLE status"; AWS re:Post, "Why is my AWS Batch
job stuck in RUNNABLE status?".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dask_knot.batch.queues import Description
from dask_knot.plural import duration, many

#: An instance boots and joins within some minutes, and an image is pulled: that is over by now.
LONG = 600.0


class Sight(NamedTuple):
    """What an engine sees of its machines, when it is asked.

    Attributes
    ----------
    joined : int or None
        The instances in the clusters of the compute environments; None if that can't be seen.
    faults : tuple of str
        What is wrong with their network, each with its cure.
    unseen : tuple of str
        Why something can't be seen.
    """

    joined: int | None = None
    faults: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


#: Looks at the machines of compute environments.
Scout = Callable[[Sequence[Description]], Sight]

CAUSES = (
    "no route to AWS (a private subnet without a NAT gateway or VPC endpoints, or a public "
    "one that gives no addresses)",
    "a network ACL, a security group or DNS that blocks ECS",
    "an AMI without the ECS agent",
    "an instance role without AmazonEC2ContainerServiceforEC2Role",
)


def words_of_machines(
    environments: Sequence[Description], waited: float, sight: Sight
) -> str | None:
    """Say why no machine takes jobs that wait; None if nothing is odd, or can be said.

    Parameters
    ----------
    environments : sequence of mappings
        The compute environments of the queue.
    waited : float
        Seconds for which jobs have waited, while none has started.
    sight : Sight
        What was seen of machines.
    """
    resources = [one.get("computeResources", {}) for one in environments]
    managed = [one for one in resources if not str(one.get("type", "")).startswith("FARGATE")]
    managed = [one for one in managed if "maxvCpus" in one]
    if not managed:
        return _seen(sight) or None
    if sight.joined:
        return (
            f"{many('instance', sight.joined)} joined the cluster, but none can take these "
            "jobs: they are full or too small"
        )
    desired = sum(int(one.get("desiredvCpus", 0)) for one in managed)
    long = duration(waited)
    if not desired:
        quota = "a vCPU quota or Batch's service role may be the reason"
        words = f"Batch hasn't asked for any machines in {long}: {quota}. See `dask knot doctor`"
        return f"{words}. {_seen(sight)}" if sight.unseen else words
    joined = "none has joined" if sight.joined == 0 else "perhaps none has joined"
    causes = "; ".join(f"({number}) {cause}" for number, cause in enumerate(CAUSES, start=1))
    spot = _SPOT if any(one.get("type") == "SPOT" for one in managed) else ""
    words = f"Batch asked for machines with {desired} vCPUs, and {joined} the cluster in {long}"
    return f"{words}. If they run, the usual causes are {causes}.{spot} {_seen(sight)}".rstrip()


_SPOT = (
    " If none runs, Spot has no capacity, or the account has reached its limit "
    "(MaxSpotInstanceCountExceeded, shown only in the Auto Scaling group's activity)."
)


def words_of_starting(waited: float, sight: Sight) -> str:
    """Say why containers have been starting for long, and none runs."""
    return (
        f"its containers have been starting for {duration(waited)}, and none is running yet: "
        "the image is very large, or can't be pulled because there is no route to ECR and "
        "S3; a log group or secret can't be reached; or ECS is waiting for a network "
        f"interface. {_seen(sight)}"
    ).rstrip()


def _seen(sight: Sight) -> str:
    """Say what is the matter, as far as it can be seen."""
    parts = []
    if sight.faults:
        parts.append("Found here: " + "; ".join(sight.faults))
    elif sight.joined == 0 and not sight.unseen:
        parts.append("Their network was checked, and no fault was found")
    if sight.unseen:
        parts.append(f"Not checked: {'; '.join(sight.unseen)}")
    return ". ".join(parts)
