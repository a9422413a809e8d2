"""Time from nothing to a first result: a new Python that imports, opens a cluster and uses it."""

from __future__ import annotations

import subprocess
import sys
import time

NAME = "ready"
PEERS = ["KnotCluster", "LocalCluster"]


def seconds_until_ready(peer: str) -> float:
    """Start this file as a program and time it until it tells of its first result."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.ready", peer]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        seconds = time.perf_counter() - start
    if told.strip() != NAME or process.returncode:
        raise RuntimeError(f"{peer} was never ready: exit code {process.returncode}")
    return seconds


def main(peer: str) -> None:
    from benchmarks import peers

    with peers.PEERS[peer]() as session:
        assert session.submit(abs, -1).result() == 1
        print(NAME, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
