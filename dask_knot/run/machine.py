"""What a manifest says of the machine that its job runs on: as much as decides what that costs."""

from __future__ import annotations

from typing import NamedTuple

ON_DEMAND, SPOT = "on-demand", "spot"
FARGATE, FARGATE_SPOT = "fargate", "fargate-spot"
LOCAL = "local"
#: Those whose prices may be known; nobody pays by the hour for what is ``local``.
LIFECYCLES = (ON_DEMAND, SPOT, FARGATE, FARGATE_SPOT, LOCAL)


class Machine(NamedTuple):
    """A machine that runs jobs; what isn't known is empty, never guessed.

    Attributes
    ----------
    host : str
        Its name in its network.
    type : str
        The instance type, such as ``m5.large``; ``fargate`` for what has none.
    zone : str
        The availability zone, such as ``us-east-1a``.
    lifecycle : str
        One of `LIFECYCLES`, or AWS's word for another one, such as ``capacity-block``.
    architecture : str
        ``x86_64`` or ``arm64``, as AWS calls them.
    """

    host: str = ""
    type: str = ""
    zone: str = ""
    lifecycle: str = ""
    architecture: str = ""

    @property
    def region(self) -> str:
        """The region that the zone is in: what stands before its letter."""
        return self.zone.rstrip("abcdefghijklmnopqrstuvwxyz")


#: It is not known where a job ran.
UNKNOWN = Machine()
