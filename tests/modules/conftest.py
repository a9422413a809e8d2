"""A folder of the user's own, and a client that imports from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .journeys import Journey, journey_in


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    """Begin a journey in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    yield from journey_in(home)
