"""What a name costs, and what it gives: `python -m benchmarks.named`.

Each line is measured in a process of its own: the same map in a run without a name, in a new named
run, and once more in that run; and what it takes to open a run of a million keys, beside an empty
one, and to ask it for the value of one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

#: Gather so many results at the end: the others stay where they are.
GATHERED = 10


def increment(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def compute(folder: str, name: str, keys: int) -> dict[str, float]:
    """Time a map of so many keys, and a look at some of its results."""
    from distributed import Client, wait

    from dask_knot import KnotCluster

    settings = {"dashboard_address": None}
    if name != "-":
        settings |= {"name": name, "store": folder}
    start = time.perf_counter()
    with KnotCluster(progress=False, **settings) as cluster:
        opened = time.perf_counter() - start
        memory = peak()
        with Client(cluster) as client:
            start = time.perf_counter()
            futures = client.map(increment, range(keys))
            wait(futures)
            results = client.gather(futures[:GATHERED])
            assert results == list(range(1, GATHERED + 1))
            computed = time.perf_counter() - start
            return {"open": opened, "open MB": memory, "map": computed, "map MB": peak()}


def record(folder: str, keys: int, plans: int = 100, shards: int = 100) -> None:
    """Write a run as so many plans would have left it: their records, and a manifest a shard."""
    from distributed.protocol.pickle import dumps

    from dask_knot.run import codec
    from dask_knot.run.manifest import INSIDE, Kind, Manifest, Output, Place
    from dask_knot.run.names import ManifestId, ShardId, StageId
    from dask_knot.run.presence import Beat, Presence, RunInfo
    from dask_knot.run.record import DIGEST_BYTES, PlanRecord, RecordedStage
    from dask_knot.run.run import Run
    from dask_knot.run.store import Store
    from dask_knot.runs.machine import own_info

    run = Run(Store(Path(folder).as_uri()), "recorded")
    run.record.found(RunInfo(time.time(), "somebody", "local", "0"))
    run.claim_session(own_info("local"))
    run.record.beat(0, Beat(0, Presence.LEFT))
    each = keys // plans // shards
    value = codec.encode(1)
    size = codec.size(value)
    types = [(dumps(int), "int")]
    places = [
        Output(n, Kind.FINISHED, Place(INSIDE, n * size, size), 28, 0, 0, 1) for n in range(each)
    ]
    for plan in range(plans):
        counts = [each] * shards
        run.record.append(
            PlanRecord(
                plan,
                time.time(),
                [RecordedStage((), {"increment": each * shards}, 1, None, 0, counts, counts)],
                [f"increment-{os.urandom(16).hex()}" for _ in range(each * shards - 1)]
                + [f"last-{plan}"],
                os.urandom(DIGEST_BYTES * each * shards),
                range(each * shards),
            ),
            plan,
        )
        for shard in range(shards):
            id = ManifestId(ShardId(StageId(plan, 0), shard), None)
            run.write_manifest(id, Manifest(True, 1, places, types), value * each)


def recall(folder: str, name: str) -> dict[str, float]:
    """Time the opening of a run that was recorded, and the value of one of its keys."""
    from distributed import Client

    from dask_knot import KnotCluster

    settings = {"name": name, "store": folder, "dashboard_address": None, "progress": False}
    start = time.perf_counter()
    with KnotCluster(**settings) as cluster:
        opened = time.perf_counter() - start
        memory = peak()
        with Client(cluster) as client:
            start = time.perf_counter()
            if name == "recorded":
                assert cluster.future("last-7").result() == 1
            else:
                assert client.submit(increment, 0).result() == 1
            return {
                "open": opened,
                "open MB": memory,
                "map": time.perf_counter() - start,
                "map MB": peak(),
            }


def peak() -> float:
    """Give the memory of this process, in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def measured(*arguments: object) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.named", "--one", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rounds(keys: int, recorded: int, times: int) -> dict[str, list[dict[str, float]]]:
    """Measure everything so many times, in turns."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            record(folder, recorded)
            steps: Mapping[str, Callable[[], dict[str, float]]] = {
                "without a name": lambda: measured(folder, "-", keys),
                "named, new": lambda: measured(folder, "run", keys),
                "named, again": lambda: measured(folder, "run", keys),
                f"{recorded:,} keys, one of them": lambda: measured(folder, "recorded", -1),
                "no keys, a task": lambda: measured(folder, "empty", -1),
            }
            for step, measure in steps.items():
                found.setdefault(step, []).append(measure())
    return found


def table(found: Mapping[str, list[dict[str, float]]]) -> str:
    """Show medians, and what each map takes beside that without a name."""
    base = statistics.median(one["map"] for one in found["without a name"])
    lines = ["| | open, s | MB | then, s | beside no name | MB |", "| --- " * 6 + "|"]
    for step, each in found.items():
        middle = {name: statistics.median(one[name] for one in each) for name in each[0]}
        lines.append(
            f"| {step} | {middle['open']:.2f} | {middle['open MB']:.0f} | {middle['map']:.2f} "
            f"| {middle['map'] / base:.2f} | {middle['map MB']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.named", description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--recorded", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to this file")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "NAME", "KEYS"), help="measure once")
    args = parser.parse_args()
    if args.one:
        folder, name, keys = args.one
        once = recall(folder, name) if int(keys) < 0 else compute(folder, name, int(keys))
        print(json.dumps(once))
        return
    found = rounds(args.keys, args.recorded, args.rounds)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
