"""Faults of processes: of jobs, of the server that forks them, and of the client."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from random import Random

import psutil

from tests.chaos.edge import Die, Rule
from tests.chaos.fault import Fault, Scene


class DieAtRequest(Fault):
    """A job, or the fork server, is killed right before or after a request to the store."""

    def __init__(self, name: str, whom: str) -> None:
        super().__init__(name)
        self._whom = whom

    def rule(self, random: Random) -> Rule:
        """Choose the request."""
        points = [("put", "manifests"), ("put", "data"), ("get", "manifests"), ("get", "data")]
        operation, objects = random.choice([("get", "packs"), *points])
        return Die(self._whom, operation, objects, random.random() < 0.5, random.randint(1, 2))


class Signals(Fault):
    """Children that run get one signal, and after a while another one."""

    nap = 0.05

    def __init__(self, name: str, first: int, second: int | None = None) -> None:
        super().__init__(name)
        self._first = first
        self._second = second

    def begin(self, scene: Scene) -> None:
        """Choose one or two of the first children."""
        chosen = set(scene.random.sample(range(4), scene.random.randint(1, 2)))
        delays = [scene.random.uniform(0, 0.1) for _ in range(4)]
        count = iter(range(10**9))

        def started(child: str) -> None:
            if (number := next(count)) in chosen:
                scene.later(delays[number], self._strike, scene, child)

        scene.rough.started = started

    def _strike(self, scene: Scene, child: str) -> None:
        if scene.rough.runs(child):
            scene.rough.signal(child, self._first)
            scene.journal.claim(2)
            if self._second is not None:
                scene.later(scene.random.uniform(0.2, 1.5), scene.rough.signal, child, self._second)


class Server(Fault):
    """The fork server gets a signal, and after a while another one."""

    nap = 0.05

    def __init__(self, name: str, first: int, second: int | None = None) -> None:
        super().__init__(name)
        self._first = first
        self._second = second

    def begin(self, scene: Scene) -> None:
        """Choose the moment."""
        scene.later(scene.random.uniform(0.0, 1.0), self._strike, scene)

    def _strike(self, scene: Scene) -> None:
        for server in servers():
            server.send_signal(self._first)
            scene.journal.claim(1)
            if self._second is not None:
                scene.later(scene.random.uniform(0.5, 1.5), _send, server, self._second)

    def end(self, scene: Scene) -> None:
        """Let none stand still."""
        for server in servers():
            _send(server, signal.SIGCONT)


class ClientStops(Fault):
    """The client's process stands still for a while, as a laptop that sleeps."""

    nap = 0.05

    def begin(self, scene: Scene) -> None:
        """Choose the moment."""
        scene.later(scene.random.uniform(0.0, 1.0), self._stop, scene)

    def _stop(self, scene: Scene) -> None:
        scene.journal.claim(1)
        pause, me = scene.random.uniform(0.5, 2.0), os.getpid()
        subprocess.run(["sh", "-c", f"kill -STOP {me}; sleep {pause}; kill -CONT {me}"], check=True)


class LoopBlocked(Fault):
    """The client's event loop is blocked for a while, as by a function of the user."""

    nap = 0.05

    def begin(self, scene: Scene) -> None:
        """Choose the moment."""
        scene.later(scene.random.uniform(0.0, 1.0), self._block, scene)

    def _block(self, scene: Scene) -> None:
        scene.journal.claim(1)
        scene.cluster.loop.add_callback(time.sleep, scene.random.uniform(0.5, 2.0))


class ClosedEarly(Fault):
    """The cluster is closed while the graph is computed."""

    nap = 0.05
    heals = False
    closes = True

    def begin(self, scene: Scene) -> None:
        """Choose the moment."""
        scene.later(scene.random.uniform(0.0, 1.0), self._close, scene)

    def _close(self, scene: Scene) -> None:
        scene.journal.claim(1)
        scene.cluster.close()


def servers() -> Iterable[psutil.Process]:
    """Find the fork servers of this process."""
    for process in psutil.Process().children():
        try:
            if "dask_knot.local.forkserver" in process.cmdline():
                yield process
        except psutil.Error:
            continue


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
