"""What was timed, as a table of medians for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from statistics import median

from benchmarks.peaks import Peaks

# Seconds of every round, by case and by peer.
Times = dict[str, dict[str, list[float]]]

# Peaks above the start of each case, in bytes, by case and by peer.
Memories = dict[str, dict[str, Peaks]]

COLUMNS = ["KnotCluster", "LocalCluster", "pool", "limit"]
OURS, DASKS = COLUMNS[:2]
PACKAGES = ["dask_knot", "dask", "distributed", "numpy", "xarray"]


def table(times: Times) -> str:
    """Lay the medians out in seconds, one case a row, with our time as a share of each other's."""
    header = ["seconds (median)", *COLUMNS, *(f"/ {peer}" for peer in COLUMNS[1:])]
    return aligned([header, *(row(name, seconds) for name, seconds in times.items())])


def memory_table(memories: Memories) -> str:
    """Lay the peaks out in gigabytes: client, jobs or workers, and what all of them share."""
    parts = [field.name for field in fields(Peaks)]
    header = ["GB (peak)", *(f"{part}, {peer}" for part in parts for peer in (OURS, DASKS))]
    return aligned([header, *(memory_row(name, peaks) for name, peaks in memories.items())])


def memory_row(name: str, peaks: dict[str, Peaks]) -> list[str]:
    """Write the cells of one case; a peer that was not watched has dashes."""
    return [
        name,
        *(
            f"{getattr(peaks[peer], field.name) / 1e9:.2f}" if peer in peaks else "-"
            for field in fields(Peaks)
            for peer in (OURS, DASKS)
        ),
    ]


def aligned(rows: list[list[str]]) -> str:
    """Write rows, the first of which is the header, as a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(line(cells, widths) for cells in rows)


def row(name: str, seconds: dict[str, list[float]]) -> list[str]:
    """Write the cells of one case; a peer that was not timed has a dash."""
    medians = {peer: median(rounds) for peer, rounds in seconds.items()}
    shares = {peer: medians[OURS] / other for peer, other in medians.items() if OURS in medians}
    cells = [f"{medians[peer]:.3f}" if peer in medians else "-" for peer in COLUMNS]
    return [
        name,
        *cells,
        *(f"{shares[peer]:.2f}" if peer in shares else "-" for peer in COLUMNS[1:]),
    ]


def line(cells: list[str], widths: list[int]) -> str:
    """Join the cells of one row as Markdown: names to the left, numbers to the right."""
    name = cells[0].ljust(widths[0])
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([name, *numbers])} |"


def write_json(path: Path, times: Times, memories: Memories) -> None:
    """Write every single time, with what is needed to know what was compared."""
    document = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: import_module(name).__version__ for name in PACKAGES},
        "seconds": times,
        "bytes": {
            name: {peer: asdict(found) for peer, found in peaks.items()}
            for name, peaks in memories.items()
        },
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
