"""Every example prints a right result, and its parts are right with any Dask client."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from distributed import Client

from tests.examples import (
    check_anisotropy,
    check_motions,
    example,
    missing_programs,
    need,
    printed,
    started,
)

__all__ = ["example"]

EXAMPLES = [
    "array_mean",
    "climatology",
    "close_the_laptop",
    "dmri",
    "heat",
    "microscopy",
    "pi",
    "pipeline",
]


def test_every_example_is_tested(project: Path) -> None:
    assert sorted(path.stem for path in (project / "examples").glob("*.py")) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_tells_its_options(project: Path, name: str) -> None:
    need(name)
    assert "--engine" in printed(project, name, "--help")


def test_pi_prints_pi(project: Path) -> None:
    found = re.fullmatch(r"pi ≈ (\d\.\d{4})\n", printed(project, "pi"))
    assert found is not None
    # A hundred million points: the standard error is 0.00016.
    assert float(found[1]) == pytest.approx(np.pi, abs=1e-3)


def test_heat_prints_small_residuals(project: Path) -> None:
    header, *rows = printed(
        project, "heat", "--constraints", "8", "--sides", "5", "12"
    ).splitlines()
    assert header.split() == ["constraints", "side", "seconds", "max", "residual"]
    cells = [row.split() for row in rows]
    assert [(row[0], row[1]) for row in cells] == [("8", "10"), ("5", "5"), ("5", "12")]
    assert all(float(row[3]) <= 1e-8 for row in cells)


@pytest.mark.parametrize("example", ["heat"], indirect=True)
def test_heat_draws_what_it_measures(example: ModuleType, project: Path, tmp_path: Path) -> None:
    options = ["--figure", str(tmp_path), "--constraints", "4", "--sides", "5"]
    said = printed(project, "heat", *options)
    rows = re.findall(r"^(dask_knot|LocalCluster) +(\d) +(\d+) +\d+\.\d\d$", said, re.MULTILINE)
    assert sorted(rows) == [
        ("LocalCluster", "4", "10"),
        ("LocalCluster", "5", "5"),
        ("dask_knot", "4", "10"),
        ("dask_knot", "5", "5"),
    ]
    assert ("Lithops isn't installed" in said) == (find_spec("lithops") is None)
    for number in (2, 3):
        assert (tmp_path / f"heat-figure-{number}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("example", ["heat"], indirect=True)
def test_heat_leaves_out_what_is_only_in_the_repository(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = example.of_the_repository()
    assert {name.partition(" (")[0] for name in known} <= example.LOOKS.keys()
    assert known["Cloudknot, custom (published)"][1][175] == 400.223
    assert known["dask_knot (simulated)"][0].keys() == {4, 16, 64, 256, 1024, 4096}
    monkeypatch.setattr(example, "__file__", str(tmp_path / "here" / "heat.py"))
    assert example.of_the_repository() == {}
    assert "isn't here" in capsys.readouterr().out


def test_heat_refuses_a_figure_of_nothing(project: Path) -> None:
    with pytest.raises(AssertionError, match="a figure needs 4 constraints"):
        printed(project, "heat", "--figure", "nowhere", "--constraints", "3")


def test_pipeline_prints_the_warmest_station(project: Path) -> None:
    # A station's mean is its number, give or take a hundredth.
    found = re.fullmatch(
        r"warmest of 40 stations: number 39, (39|38)\.(\d\d) degrees\n",
        printed(project, "pipeline"),
    )
    assert found is not None
    assert float(f"{found[1]}.{found[2]}") == pytest.approx(39, abs=0.06)


def test_array_mean_prints_the_mean(project: Path) -> None:
    found = re.fullmatch(
        r"mean of x \+ x\.T: (\d\.\d{5})\n", printed(project, "array_mean", "--side", "2000")
    )
    assert found is not None
    # Four million uniform numbers, each counted twice: the standard error is 0.0003.
    assert float(found[1]) == pytest.approx(1, abs=0.002)


def test_climatology_prints_twelve_months(project: Path) -> None:
    rows = re.findall(r"month +(\d+): +(-?\d+\.\d\d) degrees", printed(project, "climatology"))
    assert [int(month) for month, _ in rows] == list(range(1, 13))
    means = [float(mean) for _, mean in rows]
    assert np.argmax(means) == 6
    assert np.argmin(means) == 0
    assert means[6] - means[0] == pytest.approx(19.4, abs=0.5)


def test_the_laptop_may_be_closed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    options = ["--months", "3", "--seconds", "0.01"]
    line = r"warmest is month 2 with 4\.\d\d degrees, after \d+\.\d s\n"
    for _ in range(2):
        assert re.fullmatch(line, printed(project, "close_the_laptop", *options))


@pytest.mark.parametrize("example", ["close_the_laptop"], indirect=True)
def test_the_warmest_of_a_year_is_in_summer(example: ModuleType, threads_client: Client) -> None:
    month, temperature = example.find_warmest(threads_client, 12, 0.0)
    assert month == 6
    assert temperature == pytest.approx(10 + sum(day % 7 for day in range(30)) / 30)


@pytest.mark.parametrize("example", ["pi"], indirect=True)
def test_pi_estimate(example: ModuleType, threads_client: Client) -> None:
    assert example.estimate(threads_client, 10, 100_000) == pytest.approx(np.pi, abs=0.01)


@pytest.mark.parametrize("example", ["heat"], indirect=True)
@pytest.mark.parametrize("side", [1, 2, 10])
def test_heat_equals_direct_solution(
    example: ModuleType, threads_client: Client, side: int
) -> None:
    solutions = example.solve_all(threads_client, 3, side)
    assert len(solutions) == 3
    for seed, grid in enumerate(solutions):
        expected = directly_solved(example.random_border(seed, side))
        np.testing.assert_allclose(grid, expected, atol=1e-5)


@pytest.mark.parametrize("example", ["dmri"], indirect=True)
def test_dmri_finds_the_anisotropy_of_each_head(example: ModuleType, project: Path) -> None:
    check_anisotropy(example, printed(project, "dmri", "--subjects", "2"), 2)


@pytest.mark.parametrize("example", ["dmri"], indirect=True)
def test_dmri_is_exact_without_noise(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "NOISE", 0)
    side = 20
    head = example.scan(7, side)
    mask = np.logical_or.reduce(list(example.regions(side).values()))
    volumes = list(np.moveaxis(head, -1, 0))
    slabs = [example.fit(volumes, mask, slice(at, at + 10)) for at in (0, 10)]
    true = example.true_anisotropy(7)
    assert example.average(slabs, mask) == pytest.approx(true, abs=1e-3)
    assert true["white matter"] != example.true_anisotropy(8)["white matter"]
    assert example.overlap(mask) == 1


@pytest.mark.parametrize("example", ["dmri"], indirect=True)
def test_dmri_draws_what_it_measures(example: ModuleType, project: Path, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    options = ["--figure", str(path), "--counts", "1", "2", "--side", "16"]
    # A LocalCluster on a busy machine warns of workers that take long to end.
    done = started(project, "dmri", *options)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^ +[12] subjects +\d+\.\d s$", done.stdout, re.MULTILINE)) == 4
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("example", ["microscopy"], indirect=True)
def test_microscopy_finds_all_spots_and_their_motion(example: ModuleType, project: Path) -> None:
    if missing_programs():
        pytest.skip(missing_programs())
    said = printed(project, "microscopy", "--films", "4", "--frames", "30").splitlines()
    check_motions(example, said[1:5], 30)
    assert re.fullmatch(r"ImageJ 1\.\d+\w: \d+ spots in \d+ frames", said[5])


@pytest.mark.parametrize("example", ["microscopy"], indirect=True)
@pytest.mark.parametrize("film", range(4))
def test_microscopy_measures_true_tracks(example: ModuleType, film: int) -> None:
    frames = 200
    places = example.walk(film, frames)
    spots = [(frame, *place) for frame, row in enumerate(places) for place in row]
    tracks = example.link(np.array(spots), frames)
    found, true = example.measure(tracks, frames), example.true_motion(film)
    assert found.spots == true.spots
    assert found.speed == pytest.approx(true.speed, abs=0.08)
    assert found.diffusion == pytest.approx(true.diffusion, rel=0.15)


@pytest.mark.parametrize("example", ["microscopy"], indirect=True)
def test_microscopy_links_what_stays_near(example: ModuleType) -> None:
    spots = np.array([[0, 10, 10], [0, 50, 50], [1, 51, 50], [1, 90, 90], [2, 52, 50]])
    tracks = example.link(spots, 3)
    assert sorted(track.tolist() for track in tracks) == [
        [[10, 10]],
        [[50, 50], [51, 50], [52, 50]],
        [[90, 90]],
    ]


def test_microscopy_says_what_is_missing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = started(project, "microscopy")
    assert done.returncode == 1
    assert re.search(r"missing here: apt-get install .*jdk-headless\n", done.stderr)


def directly_solved(grid: np.ndarray) -> np.ndarray:
    """Solve the same heat equation as one dense linear system."""
    side = grid.shape[0] - 2
    second = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    laplacian = np.kron(second, np.eye(side)) + np.kron(np.eye(side), second)
    border = grid.copy()
    border[1:-1, 1:-1] = 0
    source = border[:-2, 1:-1] + border[2:, 1:-1] + border[1:-1, :-2] + border[1:-1, 2:]
    solved = grid.copy()
    solved[1:-1, 1:-1] = np.linalg.solve(laplacian, source.ravel()).reshape(side, side)
    return solved


@pytest.mark.parametrize("example", ["pipeline"], indirect=True)
def test_pipeline_finds_the_warmest(example: ModuleType, threads_client: Client) -> None:
    station, mean = example.find_warmest(threads_client, 5)
    assert station == 4
    assert mean == pytest.approx(float(example.clean(example.load(4)).mean()))


@pytest.mark.parametrize("example", ["pipeline"], indirect=True)
def test_pipeline_fills_gaps(example: ModuleType) -> None:
    np.testing.assert_allclose(example.clean(np.array([1, np.nan, 3])), [1, 2, 3])


@pytest.mark.parametrize("example", ["array_mean"], indirect=True)
def test_array_mean_equals_the_synchronous_one(example: ModuleType, threads_client: Client) -> None:
    expected = example.build(300, 100).compute(scheduler="synchronous")
    assert example.array_mean(threads_client, 300, 100) == pytest.approx(float(expected))


@pytest.mark.parametrize("example", ["climatology"], indirect=True)
def test_climatology_equals_the_unchunked_one(
    example: ModuleType, threads_client: Client, tmp_path: Path
) -> None:
    path = str(tmp_path / "temperatures.zarr")
    example.write_temperatures(path, 1)
    means = example.monthly_means(threads_client, path)
    with xr.open_zarr(path, chunks=None, consolidated=False) as data:
        expected = data.temperature.groupby("time.month").mean().mean(("lat", "lon"))
    xr.testing.assert_allclose(means, expected)
