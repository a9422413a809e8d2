"""The page in docs/ that has tables of the simulator: each stands between two comments."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/simulator.md"


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Write a text into its place in the page.

    Raises
    ------
    ValueError
        If the page has no such place.
    """
    place, written = _place(name), page.read_text()
    if not place.search(written):
        raise ValueError(f"{page} has no place for {name!r}: <!-- {name} --> and <!-- /{name} -->")
    page.write_text(place.sub(lambda found: f"{found[1]}\n{text}\n{found[3]}", written))


def take(name: str, page: Path = PAGE) -> str:
    """Read what stands in a place of the page."""
    found = _place(name).search(page.read_text())
    return found[2].strip() if found else ""


def _place(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->)(.*?)(<!-- /{name} -->)", re.DOTALL)
