"""The table and the JSON of runs, the table of the world's numbers, and what misses its target."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.simulate import targets
from benchmarks.simulate.grid import Run
from benchmarks.simulate.numbers import Numbers, rows

HEADER = (
    *("workload", "slots", "Spot", "policy", "seconds", "/ bound"),
    *("vCPU-h paid", "used", "jobs", "calls", "S3 requests", "S3 GB", "missed"),
)


def table(runs: Sequence[Run]) -> str:
    """Write the runs as Markdown; * marks ours that miss a target."""
    missed = {id(run) for run, _ in targets.misses(runs)}
    return markdown(HEADER, [_cells(run, id(run) in missed) for run in runs])


def summary(runs: Sequence[Run]) -> str:
    """Write two tables with a column for each policy: makespan / bound, and vCPU-hours paid."""
    names = list(dict.fromkeys(run.name for run in runs))
    cases: dict[tuple[str, int, bool], dict[str, Run]] = {}
    for run in runs:
        cases.setdefault((run.workload, run.slots, run.spot), {})[run.name] = run
    missed = {id(run) for run, _ in targets.misses(runs)}
    times, paid = [], []
    for (workload, slots, spot), found in cases.items():
        head = [f"{workload}{' (Spot)' if spot else ''}", f"{slots:,}"]
        bound = f"{next(iter(found.values())).bound.seconds:,.0f}"
        times.append([*head, bound, *(_ratio(found.get(name), missed) for name in names)])
        paid.append([*head, *(_hours(found.get(name)) for name in names)])
    ratios = markdown(("makespan / bound", "slots", "bound, s", *names), times)
    return f"{ratios}\n\n{markdown(('vCPU-hours paid', 'slots', *names), paid)}"


def _ratio(run: Run | None, missed: Collection[int]) -> str:
    if run is None:
        return "-"
    return f"{run.ratio:.2f}{' *' if id(run) in missed else ''}"


def _hours(run: Run | None) -> str:
    return "-" if run is None else f"{run.outcome.vcpu_seconds_paid / 3600:,.2f}"


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown: words to the left, numbers to the right."""
    columns = [*zip(header, *body, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    are_numbers = [all(cell[:1].isdigit() for cell in column[1:]) for column in columns]
    rule = [
        f"{'-' * (width - 1)}{':' if is_number else '-'}"
        for width, is_number in zip(widths, are_numbers, strict=True)
    ]
    lines = []
    for cells in (header, rule, *body):
        padded = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(cells, widths, are_numbers, strict=True)
        ]
        lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines)


def _cells(run: Run, is_missed: bool) -> list[str]:
    made = run.outcome
    return [
        run.workload,
        f"{run.slots:,}",
        "yes" if run.spot else "no",
        run.name,
        f"{made.makespan:,.0f}",
        f"{run.ratio:.2f}",
        f"{made.vcpu_seconds_paid / 3600:,.2f}",
        f"{made.vcpu_seconds_used / 3600:,.2f}",
        f"{made.jobs:,}",
        f"{made.api_calls:,}",
        f"{sum(made.requests.values()):,}",
        f"{sum(made.nbytes.values()) / 1e9:,.2f}",
        "*" if is_missed else "",
    ]


def checks(runs: Sequence[Run]) -> list[str]:
    """List what misses a target, a line each."""
    return [
        f"{run.workload}, {run.slots:,} slots{', Spot' if run.spot else ''}, {run.name}: {words}"
        for run, words in targets.misses(runs)
    ]


def numbers_table(numbers: Numbers) -> str:
    """Write the table of what everything takes in the simulated world, with sources."""
    body = [[row.name, f"{row.value:g}", row.unit, row.what, row.source] for row in rows(numbers)]
    return markdown(("number", "value", "unit", "what", "source"), body)


def write_json(path: Path, runs: Sequence[Run], numbers: Numbers) -> None:
    """Write all runs with all that is known of them, and the world's numbers."""
    found = [asdict(run) | {"ratio": run.ratio} for run in runs]
    document = {"numbers": [row._asdict() for row in rows(numbers)], "runs": found}
    path.write_text(json.dumps(document, indent=2) + "\n")
