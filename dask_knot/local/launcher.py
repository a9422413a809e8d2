"""The launcher of jobs' containers: the interface between the local engine and processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: What the local engine says in Batch's form of jobs that are processes of this machine.
HOST_LOST = "Host EC2 (instance local) terminated."
OVER_MEMORY = "OutOfMemoryError: Process killed due to memory usage"


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """One attempt of a job, ready to be started.

    Attributes
    ----------
    child_id
        Unique for each attempt.
    environment
        The job's variables; the launcher adds those that every process on this machine has.
    log_path
        The file for standard output and standard error; its folder exists.
    memory
        The limit in MiB.
    gpus
        The numbers of the GPUs that this attempt may use.
    """

    child_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_path: Path
    memory: int
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of an attempt.

    Attributes
    ----------
    code
        The exit code, ``128 + n`` after signal n; None if there is none, as when the host was lost.
    reason
        Batch's ``container.reason``, such as `OUT_OF_MEMORY`.
    status_reason
        Batch's ``statusReason`` where it isn't that the container exited.
    """

    code: int | None
    reason: str | None = None
    status_reason: str | None = None


class Listener(Protocol):
    """Whoever wants to know how the processes fare. Called from the launcher's own threads."""

    def child_started(self, child_id: str) -> None:
        """Note that the process runs."""

    def child_exited(self, child_id: str, end: Exit) -> None:
        """Note that the process ended; called exactly once for each start."""


class Launcher(Protocol):
    """Starts processes or containers, enforces their memory limit, and reports their end."""

    def bind(self, listener: Listener) -> None:
        """Name the listener; called once, before the first start."""

    def start(self, child: ChildProcess) -> None:
        """Start a process and return without waiting for it; ``OSError`` if that can't be."""

    def signal(self, child_id: str, number: int) -> None:
        """Send a signal to the process and everything it started; nothing if it has ended."""

    def close(self) -> None:
        """Kill what still runs and let go of everything; may be called twice."""
