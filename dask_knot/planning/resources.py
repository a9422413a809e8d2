"""The resources that one job of a shard needs: tasks that differ in them never share a shard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resources:
    """A resource class: what one job needs to run the tasks of a shard.

    Parameters
    ----------
    vcpus : float
        Processors.
    memory : int, optional
        Memory in bytes; None leaves it to the engine.
    gpus : int
        Graphics processors.
    timeout : float, optional
        Seconds after which the job is ended; None means never.
    """

    vcpus: float = 1
    memory: int | None = None
    gpus: int = 0
    timeout: float | None = None

    def fit(self, largest: Resources) -> bool:
        """Tell whether these are within others; an amount that is None has no bound."""
        return (
            self.vcpus <= largest.vcpus
            and self.gpus <= largest.gpus
            and (largest.memory is None or (self.memory or 0) <= largest.memory)
        )
