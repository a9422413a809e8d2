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
