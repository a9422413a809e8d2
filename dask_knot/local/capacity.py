"""The books of vCPUs, memory and GPUs, taken and free: pure."""

from __future__ import annotations

from dataclasses import dataclass

# vCPUs may be fractions (0.25): sums of them must not fail by a rounding error.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Capacity:
    """An amount of vCPUs, memory (MiB) and GPUs: what a machine has, or what a job asks for."""

    vcpus: float
    memory: int
    gpus: int = 0

    def holds(self, needs: Capacity) -> bool:
        """Return whether ``needs`` fit into this capacity when nothing else runs."""
        return (
            needs.vcpus <= self.vcpus + _ROUNDING
            and needs.memory <= self.memory
            and needs.gpus <= self.gpus
        )


class Ledger:
    """The part of a capacity that is taken by the jobs that run now."""

    def __init__(self, total: Capacity) -> None:
        self.total = total
        self._vcpus = 0.0
        self._memory = 0
        self._busy_gpus: set[int] = set()

    def fits(self, needs: Capacity) -> bool:
        """Return whether ``needs`` fit beside what runs now."""
        free = Capacity(
            vcpus=self.total.vcpus - self._vcpus,
            memory=self.total.memory - self._memory,
            gpus=len(self._free_gpus()),
        )
        return free.holds(needs)

    def take(self, needs: Capacity) -> tuple[int, ...]:
        """Take ``needs`` and return the numbers of the GPUs that are given out."""
        self._vcpus += needs.vcpus
        self._memory += needs.memory
        gpus = tuple(self._free_gpus()[: needs.gpus])
        self._busy_gpus.update(gpus)
        return gpus

    def give_back(self, needs: Capacity, gpus: tuple[int, ...]) -> None:
        """Give back what :meth:`take` took."""
        self._vcpus -= needs.vcpus
        self._memory -= needs.memory
        self._busy_gpus.difference_update(gpus)

    def _free_gpus(self) -> list[int]:
        return [gpu for gpu in range(self.total.gpus) if gpu not in self._busy_gpus]
