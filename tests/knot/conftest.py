"""A knot that the tests of a file share: opening one starts a fork server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot import Knot
from tests.knot.functions import double


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    """Open a knot that doubles, with two jobs at once."""
    store: Path = tmp_path_factory.mktemp("store")
    with Knot("doubles", double, store=store, jobs=2, progress=False) as opened:
        yield opened
