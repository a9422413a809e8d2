"""The command `python -m benchmarks.simulate`: hours of AWS Batch in seconds, ours and others'."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.simulate import defaults, figures, page, report
from benchmarks.simulate.engines import WORLDS
from benchmarks.simulate.grid import QUICK, USUAL, Grid, Run, run_grid
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.policies import POLICIES
from benchmarks.simulate.workloads import WORKLOADS


def main() -> None:
    """Do what is asked for."""
    args = parser().parse_args()
    if args.numbers:
        _print("numbers", report.numbers_table(Numbers()), args)
    elif args.figures:
        figures.write_figures(args.figures, args.seed)
    elif args.defaults is not None:
        _print_defaults(args)
    else:
        _print_runs(args)


def parser() -> argparse.ArgumentParser:
    """Make what understands the command's options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    add = made.add_argument
    all_names = f"these workloads only: {', '.join(WORKLOADS)}"
    add("--only", nargs="+", metavar="NAME", choices=[*WORKLOADS], help=all_names)
    add("--slots", nargs="+", type=int, default=None, help="jobs at once (16 256)")
    who = f"these only: {', '.join(POLICIES)}"
    add("--policies", nargs="+", metavar="WHO", choices=POLICIES, default=POLICIES, help=who)
    add("--known", action="store_true", help="durations known only")
    add("--unknown", action="store_true", help="durations unknown only")
    add("--spot", action="store_true", help="instances that may be reclaimed, too")
    add("--seed", type=int, default=0, help="decides all that is left to chance (0)")
    add("--quick", action="store_true", help="a few workloads on 16 slots")
    add("--check", action="store_true", help="list what misses its target; then the exit code is 1")
    add("--json", type=Path, metavar="FILE", help="write all that is known of every run")
    add("--figures", type=Path, metavar="FOLDER", help="draw the paper's Figures 2 to 4 instead")
    add("--numbers", action="store_true", help="print the numbers of the simulated world instead")
    engines = f"vary the settings of these engines instead ({', '.join(WORLDS)})"
    add("--defaults", nargs="*", metavar="ENGINE", choices=[*WORLDS], help=engines)
    add("--docs", action="store_true", help="write the table into docs/simulator.md, too")
    add("--processes", type=int, default=2, help="simulate so many at once (2)")
    return made


def _grid(args: argparse.Namespace) -> Grid:
    known = [knows for knows, is_asked in ((False, args.unknown), (True, args.known)) if is_asked]
    return Grid(
        workloads=args.only or (QUICK if args.quick else USUAL),
        slots=args.slots or ([16] if args.quick else [16, 256]),
        policies=args.policies,
        known=known or (False, True),
        spot=(False, True) if args.spot else (False,),
        seed=args.seed,
    )


def _print_runs(args: argparse.Namespace) -> None:
    runs: list[Run] = []
    try:
        for run in run_grid(_grid(args), args.processes):
            runs.append(run)
    finally:  # who interrupts it sees what is there
        if runs:
            _print("results", report.summary(runs), args)
            print(f"\n{report.table(runs)}")
        if args.json:
            report.write_json(args.json, runs, Numbers())
    missed = report.checks(runs)
    if args.check:
        print("\n".join(["", *missed] if missed else ["", "Nothing misses its target."]))
        sys.exit(1 if missed else 0)


def _print_defaults(args: argparse.Namespace) -> None:
    for engine in args.defaults or WORLDS:
        work = args.only or defaults.WORK
        found = defaults.sweep(engine, work, args.seed, args.processes, _tell)
        print(f"\n{engine}\n", flush=True)
        _print(f"defaults {engine}", defaults.defaults_table(engine, found), args)


def _print(name: str, text: str, args: argparse.Namespace) -> None:
    print(text, flush=True)
    if args.docs:
        page.put(name, text)


def _tell(found: defaults.Found) -> None:
    point = found.point
    print(
        f"{point.engine}, {point.setting} {point.value:g}, {point.workload}, {point.slots} slots, "
        f"{'known' if point.known else 'unknown'}: {found.ratio:.2f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
