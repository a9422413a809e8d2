"""Instances: they boot, pull the image, have room for children, and are paid until they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.simulate.numbers import Numbers

if TYPE_CHECKING:
    from benchmarks.simulate.jobs import Child


@dataclass(slots=True, eq=False)
class Instance:
    """One machine of the compute environment.

    `free` are its vCPUs without a child; `image_there` is when its image is, once somebody has
    asked for that; `idle_since` when its last child left it. Times are seconds of the simulation.
    """

    number: int
    vcpus: int
    launched: float
    free: int
    image_there: float | None = None
    idle_since: float = 0.0
    ended: float | None = None
    children: dict[Child, None] = field(default_factory=dict)  # in the order of their starts

    @property
    def is_idle(self) -> bool:
        """Whether no child is on it."""
        return not self.children

    def pull_image(self, numbers: Numbers, now: float) -> float:
        """Give the seconds until the image is there; the first child makes the instance pull it."""
        if self.image_there is None:
            self.image_there = now + numbers.image_bytes / numbers.pull_rate
        return max(0.0, self.image_there - now)

    def paid(self, numbers: Numbers, end: float) -> float:
        """Give the vCPU-seconds that are paid if it ends then, unless it has ended before."""
        until = end if self.ended is None else self.ended
        return self.vcpus * max(numbers.billed_at_least, until - self.launched)


def sizes_for(vcpus: int, numbers: Numbers) -> list[int]:
    """Choose instances for so many vCPUs: the largest that are filled, the last a little too large.

    Sizes double from the smallest to the largest, as those of a family do.
    """
    chosen = []
    left = vcpus
    size = int(numbers.vcpus_largest)
    while left > 0:
        while size > left and size // 2 >= numbers.vcpus_smallest:
            size //= 2
        chosen.append(size)
        left -= size
    return chosen
