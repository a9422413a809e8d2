"""The command `python -m tests.conformance`: Dask's own tests, run through a KnotCluster."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.conformance import report, suites
from tests.conformance.differences import Differences, judge
from tests.conformance.peers import PEERS
from tests.conformance.runs import run

NAMES = ["array", "bag", "dataframe", "delayed", "base", "client"]
LISTED = Path(__file__).parent / "differences.yaml"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--suites", nargs="+", metavar="SUITE", choices=NAMES, default=NAMES, help=", ".join(NAMES)
    )
    parser.add_argument(
        "--peers",
        nargs="+",
        metavar="PEER",
        choices=list(PEERS),
        default=["knot"],
        help=f"clusters that run the tests, side by side: {', '.join(PEERS)}; knot if not said",
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        default=1,
        help="run one test of N, the same ones every time, and at least one of each file",
    )
    parser.add_argument(
        "--distributed",
        type=Path,
        metavar="FOLDER",
        help="a checkout of distributed for the suite client; else its version is cloned",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep outcomes and printed lines there; a run that was stopped goes on",
    )
    return parser.parse_args()


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        chosen = [suite for suite in suites.installed() if suite.name in args.suites]
        if "client" in args.suites:
            try:
                chosen.append(suites.client(args.distributed, Path(scratch)))
            except suites.NoTestsError as error:
                sys.exit(str(error))
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, report.Outcomes] = {}
        for suite in chosen:
            found[suite.name] = {}
            for peer in args.peers:
                outcomes = run(suite, peer, args.sample, folder)
                found[suite.name][peer] = outcomes
                print(f"{suite.name} on {peer}: {report.row(outcomes)}", flush=True)
    return conclude(found, args.peers)


def conclude(found: dict[str, report.Outcomes], peers: list[str]) -> int:
    """Print what was found; 1 if a test failed that isn't listed."""
    print("", report.counts(found, peers), sep="\n")
    differences = Differences.read(LISTED)
    for outcomes in found.values():
        if len(peers) > 1:
            print(*report.beside(outcomes["knot"], outcomes["local"]), sep="\n")
    ours = {
        test: outcome
        for outcomes in found.values()
        for test, outcome in outcomes.get("knot", {}).items()
    }
    verdict = judge(ours, differences)
    print(report.words(verdict, differences))
    return 1 if verdict.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
