"""The command `python -m benchmarks`."""

from __future__ import annotations

import argparse
from pathlib import Path

import psutil

from benchmarks import peers, ready, report, rounds
from benchmarks.case import Case
from benchmarks.cases import make_cases
from benchmarks.counts import count_requests

OURS = report.COLUMNS[0]
#: Cases whose requests are counted, and how many tasks they have.
COUNTED = {"noop-10000": 10_000, "array-sum": 64_574}


def main() -> None:
    cases = make_cases()
    names = [ready.NAME, *(case.name for case in cases)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times each case runs on each peer")
    only = f"run these cases only: {', '.join(names)}"
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=names, default=names, help=only
    )
    everyone = list(peers.PEERS)
    who = f"time these only: {', '.join(everyone)}"
    parser.add_argument(
        "--peers", nargs="+", metavar="PEER", choices=everyone, default=everyone, help=who
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time to this file")
    args = parser.parse_args()
    chosen = [case for case in cases if case.name in args.only and fits(case)]
    times: report.Times = {name: {} for name in names if name in args.only}
    memories: report.Memories = {}
    try:
        rounds.time_all(times, memories, chosen, args.peers, args.rounds)
    finally:
        print(report.table(times))
        print(f"\n{report.memory_table(memories)}\n")
        for name, tasks in COUNTED.items():
            for case in [case for case in chosen if case.name == name and OURS in args.peers]:
                print(count_requests(case, tasks))
        if args.json:
            report.write_json(args.json, times, memories)


def fits(case: Case) -> bool:
    """Leave out what has not the memory that it takes: swapping is no measure of anything."""
    free = psutil.virtual_memory().available
    if case.memory > free:
        rounds.say(f"{case.name}: left out, {free:,} of {case.memory:,} bytes of memory are free")
    return case.memory <= free


if __name__ == "__main__":
    main()
