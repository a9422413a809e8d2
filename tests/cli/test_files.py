"""What `image` was given is what clusters, and the next `image`, build with."""

from __future__ import annotations

import json
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
        {"base": "mine:1", "source": None, "lines": ()},
    ],
)
def test_a_cluster_looks_for_the_image_that_was_built(given: Any, folder: Path) -> None:
    Path("Dockerfile").write_text("FROM mine:2\n")
    Path("list.txt").write_text("psutil\n")
    built = tag(given)
    assert tag({}) != built
    assert len(files.write_image(given)) == len([one for one in given.values() if one])
    assert files.write_image(given) == []  # it is said once
    os.chdir(folder)  # a cluster is opened elsewhere
    assert tag({}) == built


def test_options_are_noted_beside_those_noted_before(folder: Path) -> None:
    files.write_image({"lines": ("ENV A=1",), "packages": ("psutil",)})
    files.write_image({"lines": ("ENV B=2",)})
    noted = yaml.safe_load((folder / "config" / "knot-image.yaml").read_text())
    assert noted == {"knot": {"build": {"lines": ["ENV B=2"], "packages": ["psutil"]}}}


SOURCES = ["script.py", "notebook.ipynb", "folder"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_is_not_noted_since_what_runs_is_read(source: str, folder: Path) -> None:
    assert files.write_image({"source": source, "packages": ()}) == []
    assert list((folder / "config").iterdir()) == []


def test_after_a_notebooks_image_a_script_asks_for_its_own(folder: Path) -> None:
    cell = {"cell_type": "code", "source": "import wrapt"}
    Path("a.ipynb").write_text(json.dumps({"cells": [cell]}))
    Path("b.py").write_text("import yaml")
    before = tag({"source": "b.py"}), tag({})
    files.write_image({"source": "a.ipynb"})
    assert (tag({"source": "b.py"}), tag({})) == before
    assert tag({"source": "a.ipynb"}) not in before


def test_a_source_that_an_older_release_noted_is_not_taken(folder: Path) -> None:
    Path("a.py").write_text("import wrapt")
    build = {"source": str(Path("a.py").absolute()), "lines": ["ENV A=1"]}
    plain = tag({"lines": ["ENV A=1"]})
    noted = folder / "config/knot-image.yaml"
    noted.write_text(yaml.safe_dump({"knot": {"build": build}}))
    assert tag({}) == plain
    assert tag({"source": "a.py"}) != plain
    assert files.image_notes({})[0] == "as saved before: lines: ENV A=1"
    files.write_image({"debian": ("git",)})
    assert "source" not in noted.read_text()


def test_a_source_that_the_user_has_configured_is_taken(folder: Path) -> None:
    Path("a.py").write_text("import wrapt")
    mine = {"knot": {"build": {"source": str(Path("a.py").absolute())}}}
    (folder / "config/knot.yaml").write_text(yaml.safe_dump(mine))
    assert tag({}) == tag({"source": "a.py"})


def test_what_is_noted_is_said_and_forgotten(folder: Path) -> None:
    said = files.write_image({"packages": ("psutil",), "source": "a.py"})
    assert said == ["saved for clusters and for the next image: packages: psutil"]
    assert files.image_notes({"packages": ("yaml",)}) == []
    used, path = files.image_notes({"packages": ()})
    assert used == "as saved before: packages: psutil"
    assert str(folder / "config/knot-image.yaml") in path
    assert "dask knot image --forget" in path
    assert files.forget_image() == folder / "config/knot-image.yaml"
    assert files.forget_image() is None
    assert files.image_notes({}) == []


@pytest.mark.parametrize("text", ["", "knot:", "[", "knot: {build: 3}", "\0"])
def test_a_file_that_is_none_of_ours_is_not_read(text: str, folder: Path) -> None:
    (folder / "config/knot-image.yaml").write_text(text)
    assert files.image_notes({}) == []


def test_a_token_in_a_reference_is_for_its_owner_only() -> None:
    reference = "git+https://t0k3n-of-mine@host/name@v1"
    said = files.write_image({"packages": (reference,)})
    assert "git+https://****@host/name@v1" in said[0]
    assert files.notes_path().stat().st_mode & 0o077 == 0
    assert "t0k3n" not in "".join([*said, *files.image_notes({})])
    assert make_recipe(resolve_spec({"packages": (reference,)}), lambda line: None).requirements
