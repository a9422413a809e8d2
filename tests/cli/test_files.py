"""What `image` was given is what clusters, and the next `image`, build with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml

from dask_knot.cli import files
from dask_knot.image.image import make_recipe
from dask_knot.image.spec import resolve_spec
from dask_knot.settings.defaults import DEFAULTS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let Dask's configuration be in a folder of the test, and the test run beside it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path / "work")
    with dask.config.set({"knot": DEFAULTS}):
        yield tmp_path


def tag(given: Mapping[str, Any]) -> str:
    """Name the image that options make, with what is in Dask's folder of configuration."""
    noted = dask.config.collect_yaml([dask.config.PATH])
    with dask.config.set(dask.config.merge({"knot": DEFAULTS}, *noted)):
        return make_recipe(resolve_spec(given), lambda _: None).tag


@pytest.mark.parametrize(
    "given",
    [
        {"packages": ("psutil", "wrapt")},
        {"lines": ("ENV A=1", "ENV B=2"), "debian": ("git",)},
        {"dockerfile": "Dockerfile", "packages": ("list.txt",)},
        {"source": "notebook.ipynb"},
        {"base": "mine:1", "source": None, "lines": ()},
    ],
)
def test_a_cluster_looks_for_the_image_that_was_built(given: Any, folder: Path) -> None:
    Path("Dockerfile").write_text("FROM mine:2\n")
    Path("list.txt").write_text("psutil\n")
    Path("notebook.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "source": "import psutil, yaml, wrapt"}]}'
    )
    built = tag(given)
    assert tag({}) != built
    assert files.write_image(given) == folder / "config" / "knot-image.yaml"
    os.chdir(folder)  # a cluster is opened elsewhere
    assert tag({}) == built


def test_options_are_noted_beside_those_noted_before(folder: Path) -> None:
    files.write_image({"lines": ("ENV A=1",), "packages": ("psutil",)})
    files.write_image({"lines": ("ENV B=2",)})
    noted = yaml.safe_load((folder / "config" / "knot-image.yaml").read_text())
    assert noted == {"knot": {"build": {"lines": ["ENV B=2"], "packages": ["psutil"]}}}


def test_a_script_is_not_noted_since_the_one_that_runs_is_read(folder: Path) -> None:
    assert files.write_image({"source": "script.py", "packages": ()}) is None
    assert list((folder / "config").iterdir()) == []
