"""What every fault is: where it happens, and when it may act."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from dask_knot import KnotCluster
from tests.chaos.edge import Journal, Rule
from tests.chaos.rough import Rough


@dataclass(slots=True)
class Scene:
    """Where a fault happens: an open cluster with a graph that is going to be computed."""

    cluster: KnotCluster
    rough: Rough
    journal: Journal
    random: Random
    store: Path
    timers: list[threading.Timer] = field(default_factory=list)

    def later(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        """Call something in a while, if the graph isn't over by then."""
        timer = threading.Timer(seconds, call, arguments)
        timer.name, timer.daemon = "chaos", True
        self.timers.append(timer)
        timer.start()

    def end(self) -> None:
        """Let nothing happen any more."""
        for timer in self.timers:
            timer.cancel()
            timer.join()


class Fault:
    """One kind of fault: nothing, unless a kind says more.

    Attributes
    ----------
    name : str
        What the table calls it.
    heals : bool
        Whether values must be right nevertheless.
    patience : float
        What is set for ``knot.local.patience``.
    part_interval : float
        How often jobs commit what is done.
    nap : float
        Seconds that each task sleeps, where it can.
    graph : str or None
        The only kind of graph that it is for.
    closes : bool
        Whether it closes the cluster: then outcomes may be cancelled as well.
    leaves_objects : bool
        Whether the store may be away still when the cluster is closed, so that objects stay.
    """

    heals = True
    patience = 20.0
    part_interval = 5.0
    nap = 0.0
    graph: str | None = None
    closes = False
    leaves_objects = False

    def __init__(self, name: str) -> None:
        self.name = name

    def rule(self, random: Random) -> Rule:
        """Say what happens at the edge of the store."""
        return Rule()

    def place(self, store: Path) -> None:
        """Make the folder of the store."""
        store.mkdir()

    def remove(self, store: Path) -> None:
        """Undo what `place` has done to the folder."""

    def begin(self, scene: Scene) -> None:
        """Prepare what happens while the graph is computed."""

    def between(self, scene: Scene) -> None:
        """Do something between its two steps."""

    def end(self, scene: Scene) -> None:
        """Undo it before the cluster is closed."""
