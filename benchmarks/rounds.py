"""The order of timing: several rounds, in which the peers take turns, one at a time."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType

from benchmarks import pages, peaks, peers, ready
from benchmarks.case import Case
from benchmarks.report import Memories, Times

#: A pool moves no bytes, and a limit has no processes.
WATCHED = ("KnotCluster", "LocalCluster")

Run = Callable[[peers.Session], float | None]


def time_all(
    times: Times, memories: Memories, cases: Sequence[Case], who: Sequence[str], rounds: int
) -> None:
    """Time every case on every named peer that can run it, and `ready` if `times` has it.

    What was timed is in `times` at once: an interrupted run can still show it. Memory is watched
    in the first round only, as that takes a little of a processor.
    """
    sizes = {case.name: case.memory for case in cases}
    for round_number in range(rounds):
        for peer in turns(who, round_number):
            say(f"round {round_number + 1} of {rounds}: {peer}")
            if peer in ready.PEERS and ready.NAME in times:
                keep(times, ready.NAME, peer, ready.seconds_until_ready(peer))
            first = round_number == 0
            runs = runs_of(peer, cases, first)
            watched = memories if first and peer in WATCHED else None
            time_peer(times, peer, runs, watched, sizes)


def turns(names: Sequence[str], round_number: int) -> list[str]:
    """Let another peer begin each round: what is slow about being first is shared."""
    first = round_number % len(names)
    return [*names[first:], *names[:first]]


def runs_of(peer: str, cases: Sequence[Case], first: bool) -> dict[str, Run]:
    """Pick what this peer can run in this round."""
    return {
        case.name: run
        for case in cases
        if (run := {"pool": case.pool, "limit": case.moves}.get(peer, case.dask)) is not None
        and (first or peer not in case.once_on)
    }


def time_peer(
    times: Times,
    peer: str,
    runs: Mapping[str, Run],
    memories: Memories | None = None,
    sizes: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Open the peer, let it warm up, and time each case once; watch its memory if asked to.

    The machine has the memory that a case needs, by its name in `sizes`, when it begins.
    """
    if not runs:
        return
    watching = nullcontext(None) if memories is None else peaks.watching()
    with peers.PEERS[peer]() as session, watching as watch:
        peers.warm(session)
        for name, run in runs.items():
            peers.settle(session)
            gc.collect()
            pages.bring(sizes.get(name, 0))
            if watch is not None:
                watch.begin()
            start = time.perf_counter()
            own = run(session)
            keep(times, name, peer, time.perf_counter() - start if own is None else own)
            if watch is not None and memories is not None:
                memories.setdefault(name, {})[peer] = watch.end()


def keep(times: Times, name: str, peer: str, seconds: float) -> None:
    """Keep one time, and tell it to whoever waits."""
    times[name].setdefault(peer, []).append(seconds)
    say(f"  {name}: {seconds:.3f} s")


def say(text: str) -> None:
    """Tell of progress, beside what the program prints as its result."""
    print(text, file=sys.stderr, flush=True)
