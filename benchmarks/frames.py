"""Frames of numbers that are quick to make, with ids that no part of them has together."""

from __future__ import annotations

import dask.dataframe as dd
import numpy as np
import pandas as pd

PARTS = 32
PART_ROWS = 1_000_000
ROWS = PARTS * PART_ROWS


def dealt(parts: int, factor: int) -> dd.DataFrame:
    """Describe a frame of `parts` million rows of four columns, 32 MB each.

    Its ids are 0 … rows - 1, each once, in an order that depends on `factor`, which is a prime.
    """
    sizes = {"rows": parts * PART_ROWS, "factor": factor}
    meta = part(0, rows=0, factor=1)
    return dd.from_map(part, range(parts), meta=meta, **sizes)


def part(number: int, rows: int, factor: int) -> pd.DataFrame:
    """Make one part."""
    first = min(number * PART_ROWS, rows)
    numbers = np.arange(first, min(first + PART_ROWS, rows))
    ids = numbers * factor % max(rows, 1)
    return pd.DataFrame({"id": ids, "x": numbers * 1.0, "y": numbers * 2.0, "z": numbers * 3.0})
