"""Processes that compute graphs under faults side by side, each graph within a deadline."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import psutil

from tests.chaos.run import Outcome

ROOT = Path(__file__).parent.parent.parent
#: Seconds for the traces of all threads of a process that hangs.
TRACE = 2.0


class Member:
    """One process of a crew, which is started anew when a graph has ended or hung it.

    Parameters
    ----------
    deadline : float
        Seconds that a graph may take.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, seed: int, fault: str) -> Outcome:
        """Compute one graph under one fault."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        begin, said = time.monotonic(), self._log.seek(0, 2)
        with suppress(BrokenPipeError):  # it is dead already, and nothing is to be read of it
            process.stdin.write(json.dumps([seed, fault]).encode() + b"\n")
            process.stdin.flush()
        ready = select.select([process.stdout], [], [], self._deadline)[0]
        answer = process.stdout.readline() if ready else b""
        if answer:
            fields = json.loads(answer)
            return Outcome(**{**fields, "left": tuple(fields["left"])})
        if not ready:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGUSR1)
            with suppress(subprocess.TimeoutExpired):
                process.wait(TRACE)
        self._end()
        self._log.seek(said)
        detail = self._log.read().decode(errors="replace")[-12000:]
        result, seconds = ("died" if ready else "hang"), round(time.monotonic() - begin, 2)
        return Outcome(seed, fault, "", result, 0, seconds, (), detail)

    def close(self) -> None:
        """End the process, with all that it has started."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        children: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
        for one in (process, *children):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.one"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )


def compute(
    wanted: Sequence[tuple[int, str]], members: int = 2, deadline: float = 60.0
) -> Iterator[Outcome]:
    """Compute the graphs of seeds under faults; give outcomes as they come.

    Parameters
    ----------
    wanted : sequence of (int, str)
        Seeds and names of faults.
    members : int
        How many processes compute them.
    deadline : float
        Seconds after which a graph is taken to hang.
    """
    crew = [Member(deadline) for _ in range(members)]
    free: SimpleQueue[Member] = SimpleQueue()
    for member in crew:
        free.put(member)

    def one(seed: int, fault: str) -> Outcome:
        member = free.get()
        try:
            return member.run(seed, fault)
        finally:
            free.put(member)

    pool = ThreadPoolExecutor(members)
    try:
        for done in as_completed([pool.submit(one, *each) for each in wanted]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for member in crew:
            member.close()
