"""The steps of an installation: those that one more package leaves as they are."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from dask_knot.environment.layers import LARGE
from dask_knot.environment.requirements import Requirements, resolve_requirements


def resolve(*packages: str) -> Requirements:
    return resolve_requirements(packages, None, lambda line: None)


def layers(*packages: str) -> tuple[tuple[str, ...], ...]:
    """Give the steps before the last, which has the rest."""
    return resolve(*packages).layers[:-1]


def names(found: tuple[tuple[str, ...], ...]) -> list[str]:
    return [line.partition("==")[0] for layer in found for line in layer]


def test_the_first_is_what_all_jobs_need() -> None:
    (first,) = resolve().layers
    assert set(first) == set(resolve().lines.values())
    assert f"toolz=={version('toolz')}" in first
    assert layers("pandas")[0] == first


@pytest.mark.parametrize(
    "more", ["joblib", "iniconfig", "git+https://github.com/o/n@v1", "no-such"]
)
def test_a_small_package_changes_no_layer(more: str) -> None:
    assert layers("pandas", "xarray", more) == layers("pandas", "xarray")


def test_a_large_package_leaves_the_larger_ones_as_they_are() -> None:
    before, after = layers("pandas", "xarray"), layers("pandas", "xarray", "zarr")
    assert set(names(before)) < set(names(after))
    assert before[0] == after[0]
    same = [layer for layer, other in zip(before, after, strict=False) if layer == other]
    assert names(after)[: len(names(tuple(same)))] == names(tuple(same))


def test_what_a_package_needs_has_its_layer_as_well() -> None:
    """A script that imports both changes nothing against one that imports xarray only."""
    assert "pandas" in names(layers("xarray"))
    assert resolve("xarray", "pandas").layers == resolve("xarray").layers


def test_the_layers_are_the_whole_list_each_line_once() -> None:
    found = resolve("xarray", "zarr")
    installed = [line for layer in found.layers for line in layer]
    assert sorted(installed) == sorted(found.lines.values())
    assert all("==" in line for line in installed)


@pytest.mark.parametrize("text", ["pandas>=2", "pandas @ git+https://github.com/o/n@v1"])
def test_what_a_user_wants_otherwise_is_in_no_layer(text: str) -> None:
    found = resolve("xarray", text)
    assert "pandas" not in names(found.layers)
    assert found.own == {"pandas": text}
    assert not [line for line in found.constraints if line.startswith("pandas=")]


def test_another_numpy_is_no_base() -> None:
    found = resolve("numpy>=2.1")
    assert "numpy" not in names(found.layers)
    assert LARGE > 2**20
