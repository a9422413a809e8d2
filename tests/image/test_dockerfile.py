"""The Dockerfile and the tag, from data to text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dask_knot.image.dockerfile import Recipe, dockerfile

RECIPE = Recipe(
    python="3.12",
    platform="linux/amd64",
    requirements=("dask==2026.8.0",),
    constraints=("toolz==1.0",),
    wheels={"dask_knot-1.0-py3-none-any.whl": b"wheel"},
    labels={"python": "3.12"},
)


def lines(**changes: Any) -> list[str]:
    return dockerfile(replace(RECIPE, **changes)).splitlines()


def test_it_starts_from_the_clients_own_python() -> None:
    assert lines()[0] == "FROM python:3.12-slim"


def test_packages_come_before_dask_knot_since_they_change_less() -> None:
    text = dockerfile(replace(RECIPE, layers=(("dask==1",),)))
    assert text.index("requirements-1.txt") < text.index(".whl") < text.index("USER 1000")


def test_layers_are_installed_as_they_are_and_only_the_users_own_are_solved() -> None:
    recipe = replace(RECIPE, layers=(("dask==1", "toolz==1"), ("pandas==2",)))
    installs = [
        line
        for line in dockerfile(recipe).splitlines()
        if "install.py " in line and line.startswith("RUN")
    ]
    assert [("--no-deps" in line, line.rpartition("/")[2]) for line in installs] == [
        (True, "requirements-1.txt"),
        (True, "requirements-2.txt"),
        (True, "dask_knot-1.0-py3-none-any.whl"),
        (False, "constraints.txt"),
    ]
    assert recipe.own_files["requirements-1.txt"] == b"dask==1\ntoolz==1\n"
    first = dockerfile(replace(recipe, layers=recipe.layers[:1])).splitlines()[:4]
    assert first == dockerfile(recipe).splitlines()[:4]


def test_nothing_is_solved_if_all_is_as_it_is_here() -> None:
    recipe = replace(RECIPE, layers=(("dask==1",),), requirements=(), constraints=())
    assert "constraints" not in dockerfile(recipe)
    assert "requirements.txt" not in recipe.own_files


def test_conda_makes_its_environment_before_python_is_looked_at() -> None:
    recipe = replace(RECIPE, conda=("@EXPLICIT", "https://c.example/linux-64/python-3.12.conda#1"))
    found = dockerfile(recipe).splitlines()
    assert found[0].startswith("FROM mambaorg/micromamba:")
    (made,) = [line for line in found if "micromamba create" in line]
    assert made.split("--file ")[1].startswith("/opt/dask-knot/conda.txt ")
    path = next(line for line in found if line.startswith("ENV CONDA_PREFIX"))
    check = next(line for line in found if "sys.version_info" in line)
    assert found.index(made) < found.index(path) < found.index(check)
    assert recipe.own_files["conda.txt"].startswith(b"@EXPLICIT\nhttps://c.example/")
    assert "conda.yml" in dockerfile(replace(recipe, conda=("dependencies:", "- python=3.12")))
    assert lines(conda=recipe.conda, base="mine:1")[0] == "FROM mine:1"


def test_it_ends_as_a_user_without_rights() -> None:
    found = lines(lines=("RUN make-something",))
    users = [line for line in found if line.startswith("USER")]
    assert users == ["USER root", "USER 1000:1000"]
    assert found.index("RUN make-something") < found.index("USER 1000:1000")


def test_batch_needs_an_image_without_entry_point() -> None:
    assert "ENTRYPOINT []" in lines()


def test_nothing_needs_buildkit() -> None:
    assert not [line for line in lines(debian=("git",)) if "--mount" in line]


def test_debian_packages_are_installed_first() -> None:
    found = lines(debian=("libgomp1", "git"))
    assert "install -y --no-install-recommends libgomp1 git" in found[2]


def test_an_own_base_is_checked_for_its_python() -> None:
    found = lines(base="jupyter/scipy-notebook:latest")
    assert found[0] == "FROM jupyter/scipy-notebook:latest"
    assert found[2].startswith("RUN python -c")
    assert "3.12" in found[2]
    assert not [line for line in lines() if "python -c" in line]


def test_an_own_dockerfile_comes_first_and_keeps_its_user() -> None:
    own = "FROM a AS one\nUSER first\nFROM b\nRUN c\n  user me:us\n"
    found = lines(text=own)
    assert found[:5] == own.splitlines()
    assert found[5] == "USER root"
    assert [line for line in found if line.startswith("USER")][-1] == "USER me:us"
    assert not [line for line in found if "/home/knot" in line]


@pytest.mark.parametrize("own", ["FROM a\nUSER x\nFROM b", "FROM b\nUSER x\nUSER root", "FROM b"])
def test_an_own_dockerfile_without_user_gets_one(own: str) -> None:
    assert "USER 1000:1000" in lines(text=own)


CHANGES: list[dict[str, Any]] = [
    {"python": "3.13"},
    {"platform": "linux/arm64"},
    {"base": "debian"},
    {"text": "FROM debian:12"},
    {"debian": ("git",)},
    {"lines": ("RUN x",)},
    {"requirements": ("dask==2026.9.0",)},
    {"constraints": ()},
    {"layers": (("dask==2026.8.0",),)},
    {"conda": ("@EXPLICIT",)},
    {"wheels": {"dask_knot-1.0-py3-none-any.whl": b"other"}},
    {"files": {"data": b"x"}},
    {"labels": {"python": "3"}},
]


def test_every_change_gives_another_tag() -> None:
    tags = [replace(RECIPE, **change).tag for change in CHANGES]
    assert len({RECIPE.tag, *tags}) == len(CHANGES) + 1


def test_the_same_gives_the_same_tag() -> None:
    assert replace(RECIPE).tag == RECIPE.tag
    assert RECIPE.tag.startswith("py3.12-amd64-")
    assert len(RECIPE.tag) < 128
