"""Modules of the user's own where jobs are processes of this machine: read from where they are."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from dask_knot import KnotCluster

SMALL: dict[str, Any] = {"jobs": 1, "memory": "1 GiB", "dashboard_address": None}
SOURCE = """\
from enum import Enum
from pathlib import Path
class Color(Enum):
    RED = 1
def paint(color):
    from knot_near.lazily import NUMBER
    assert color is Color.RED
    return color, NUMBER, Path(__file__).with_name("table.csv").read_text()
"""


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a package in the folder of a script."""
    folder = tmp_path / "knot_near"
    folder.mkdir()
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "lazily.py").write_text("NUMBER = 1\n")
    (folder / "table.csv").write_text("old")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("knot_near")
    for name in [name for name in sys.modules if name.startswith("knot_near")]:
        del sys.modules[name]


def test_a_path_that_means_another_folder_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "knot_near_by.py").write_text("def f(): return 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("src")
    sys.path.append(tmp_path)  # type: ignore[arg-type]  # a path, which Python doesn't look at
    f = importlib.import_module("knot_near_by").f
    with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
        monkeypatch.chdir("/")
        assert client.submit(f).result() == 1
    del sys.modules["knot_near_by"]


def test_an_edit_between_two_computations(near: Any, tmp_path: Path) -> None:
    with KnotCluster(store=str(tmp_path / "store"), **SMALL) as cluster, Client(cluster) as client:
        color = near.Color.RED
        found = client.submit(near.paint, color, pure=False).result()
        assert found == (color, 1, "old")
        assert found[0] is color
        folder = Path(near.__file__).parent
        (folder / "lazily.py").write_text("NUMBER = 1000\n")
        (folder / "table.csv").write_text("new")
        found = client.submit(near.paint, color, pure=False).result()
        assert found == (color, 1000, "new")
        assert [*tmp_path.rglob("packs")]
        assert not [*tmp_path.rglob("bundles")]
