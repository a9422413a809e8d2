"""Files of prices: read as they were written, or refused."""

from __future__ import annotations

import datetime
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import PriceError, PriceFileError
from dask_knot.prices.sheetfile import packed, unpacked
from dask_knot.prices.shelf import keep, packaged, read_sheet, stocked
from tests.prices.sheets import DAY, PACKAGED, REFRESHED


@pytest.mark.parametrize("sheet", [PACKAGED, REFRESHED], ids=["packaged", "refreshed"])
def test_a_sheet_is_read_as_it_was_written(sheet: Any) -> None:
    assert unpacked(packed(sheet)) == sheet
    assert packed(unpacked(packed(sheet))) == packed(sheet)


def changed(**changes: Any) -> bytes:
    content = json.loads(gzip.decompress(packed(PACKAGED)))
    return gzip.compress(json.dumps({**content, **changes}).encode(), mtime=0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"prices",
        packed(PACKAGED)[:-20],
        gzip.compress(b"[]"),
        gzip.compress(b"{}"),
        gzip.compress("{\xe9".encode("latin-1")),
        changed(format=2),
        changed(date="soon"),
        changed(source=1),
        changed(instances={"here": {"m5.large": 0.0}}),  # nothing is free
        changed(instances={"here": {"m5.large": "0.1"}}),
        changed(instances={"here": {"m5.large": True}}),
        changed(instances={"here": {"m5.large": float("nan")}}),
        changed(instances=["here"]),
        changed(types={"m5.large": [2, 8192, "sparc", 0]}),
        changed(types={"m5.large": [2]}),
        changed(types={"m5.large": [float("nan"), 8192, "amd64", 0]}),
        changed(types={"m5.large": [2, float("inf"), "amd64", 0]}),
        changed(types={"m5.large": [True, 8192, "amd64", 0]}),
        changed(types={"m5.large": [2, 8192, "amd64", -1]}),
        changed(types={"m5.large": [2, 8192, "amd64", "1"]}),
        changed(instances={"here": {"m5.large": 10**400}}),
        changed(spot={"here": {"m5.large": {"here-a": float("-inf")}}}),
        gzip.compress(b"[" * 200_000),
        changed(fargate={"here": {"amd64": [0.1]}}),
        changed(s3={"here": [0.1, 0.1, -1]}),
    ],
    ids=lambda data: f"{len(data)}-bytes",
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(PriceFileError, match=r"it (can't be read|has format)"):
        unpacked(data)


def test_without_a_refreshed_file_the_packaged_prices_are_there(tmp_path: Path) -> None:
    found = stocked(packaged().date, tmp_path / "none")
    assert found.sheets == packaged().sheets
    assert found.notes == ()


def test_a_damaged_file_is_said_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "here.prices.json.gz"
    file.write_bytes(packed(REFRESHED)[:40])
    found = stocked(packaged().date, tmp_path)
    assert found.sheets == packaged().sheets
    (note,) = found.notes
    assert str(file) in note
    assert "`dask knot prices --refresh --region here` asks AWS" in note


def test_a_file_that_is_a_folder_is_said_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "here.prices.json.gz").mkdir()
    (note,) = stocked(packaged().date, tmp_path).notes
    assert str(tmp_path) in note


def test_prices_of_a_day_to_come_are_said_and_left_out(tmp_path: Path) -> None:
    # Else they would stand before all others, and never grow old.
    file = tmp_path / "here.prices.json.gz"
    today = packaged().date
    later = today + datetime.timedelta(days=2)
    file.write_bytes(packed(replace(REFRESHED, date=later)))
    found = stocked(today, tmp_path)
    assert found.sheets == packaged().sheets
    (note,) = found.notes
    assert f"{later} is in the future" in note
    # Clocks differ a little.
    assert stocked(today + datetime.timedelta(days=1), tmp_path).notes == ()


def test_refreshed_prices_come_first(tmp_path: Path) -> None:
    file = tmp_path / "here.prices.json.gz"
    file.write_bytes(packed(REFRESHED))
    found = stocked(REFRESHED.date, tmp_path)
    assert found.sheets == (REFRESHED, *packaged().sheets)
    assert read_sheet(file) == REFRESHED
    assert found.notes == ()


def test_prices_of_long_ago_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "here.prices.json.gz"
    file.write_bytes(packed(REFRESHED))
    (note,) = stocked(REFRESHED.date + datetime.timedelta(days=366), tmp_path).notes
    assert (
        "prices are of 2026-06-01, older than a year: `dask knot prices --refresh` asks AWS" in note
    )
    # What was refreshed elsewhere doesn't make a region's own prices any newer.
    later = packaged().date + datetime.timedelta(days=367)
    file.write_bytes(packed(replace(REFRESHED, date=later)))
    (note,) = stocked(later, tmp_path, "us-east-1").notes
    assert f"prices of us-east-1 are of {packaged().date}, older than a year: " in note
    assert "--refresh --region us-east-1`" in note
    # What nobody knows isn't old.
    assert stocked(later, tmp_path, "mars-1").notes == ()
    # A newer version of the package may know more than what was refreshed with an older one.
    file.write_bytes(packed(PACKAGED))
    assert stocked(DAY, tmp_path).date == max(DAY, packaged().date)


def test_kept_prices_are_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = keep(REFRESHED, "here")
    assert keep(REFRESHED, "here") == file
    assert [*file.parent.iterdir()] == [file]
    assert stocked(REFRESHED.date).sheets == (REFRESHED, *packaged().sheets)


def test_prices_that_can_not_be_kept_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dask_knot").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PriceError, match="can't be saved in"):
        keep(REFRESHED, "here")
