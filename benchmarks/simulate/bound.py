"""The least time that any plan can need: what the policies' times are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dask.typing import Key

from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.shapes import Shape


@dataclass(frozen=True)
class Bound:
    """Seconds below which no plan can end.

    Attributes
    ----------
    chain
        The longest chain of tasks and one cold job start: an instance is asked for, boots, pulls
        the image and starts the container before anything can run.
    share
        All work, shared evenly by all slots as if they had been there from the start.
    packing
        Tasks can't be divided: of k x slots + 1 tasks some slot gets k + 1. No slot is there before
        an instance has booted, which takes each the time that is usual, on average.
    slowest
        As `chain`, on an instance that boots as slowly as any.
    upload
        As `chain`, where an instance is ready by the time all input has come from a laptop.
    """

    chain: float
    share: float
    packing: float
    slowest: float
    upload: float

    @property
    def seconds(self) -> float:
        """What makespans are divided by."""
        return max(self.chain, self.share)

    @property
    def reachable(self) -> float:
        """What can be had: tasks can't be divided, boots differ, and input has to be sent.

        Ratios aren't taken over it: it tells where the bound is out of anybody's reach.
        """
        return max(self.slowest, self.packing, self.upload)


def bound_of(shape: Shape, slots: int) -> Bound:
    """Compute the bound of some work on so many slots."""
    seconds = [shape.seconds(key) for key in shape.inputs]
    chain, cold = longest_chain(shape), cold_start(shape.numbers)
    return Bound(
        chain=chain + cold,
        share=sum(seconds) / slots,
        packing=packed(seconds, slots) + cold,
        slowest=chain + cold + shape.numbers.boot_longest - mean_boot(shape.numbers),
        upload=chain + sum(shape.given.values()) / shape.numbers.client_up,
    )


def cold_start(numbers: Numbers) -> float:
    """Give the seconds until a program runs where no instance does, from its submission on.

    Batch's next look at its queue, an instance that boots in the time that is usual, its pull of
    the image, and the container. Boots are drawn, so one job may start sooner, and the last of
    many starts later.
    """
    pull = numbers.image_bytes / numbers.pull_rate
    begin = numbers.placement + pull + numbers.container_start + numbers.python_start
    return numbers.call_latency + numbers.scaling_interval + mean_boot(numbers) + begin


def mean_boot(numbers: Numbers) -> float:
    """Give the mean of the triangle that boots are drawn from."""
    return (numbers.boot_shortest + numbers.boot_usual + numbers.boot_longest) / 3


def longest_chain(shape: Shape) -> float:
    """Add up the seconds of the longest chain of tasks that read each other."""
    end: dict[Key, float] = {}
    for key in shape.order():
        before = max((end[one] for one in shape.inputs[key]), default=0.0)
        end[key] = before + shape.seconds(key)
    return max(end.values(), default=0.0)


def packed(seconds: Sequence[float], slots: int) -> float:
    """Find the least time of tasks that can't be divided, dependencies left aside.

    The longest k x slots + 1 tasks put k + 1 into some slot, each at least as long as the
    shortest of them.
    """
    longest = sorted(seconds, reverse=True)
    rounds = range(len(longest) // slots + 1)
    at_least = [(k + 1) * longest[k * slots] for k in rounds if k * slots < len(longest)]
    return max([sum(longest) / slots, *at_least], default=0.0)
