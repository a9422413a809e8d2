"""The lists of prices that are here: the packaged one, and what this user has refreshed."""

from __future__ import annotations

import datetime
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

from dask_knot.errors import PriceError, PriceFileError
from dask_knot.prices.pricelist import PriceList, PriceSheet
from dask_knot.prices.sheetfile import packed, unpacked
from dask_knot.settings.home import home_folder

NAME = "prices.json.gz"


def asks(region: str = "") -> str:
    """Say how AWS is asked for today's prices of a region."""
    place = f" --region {region}" if region else ""
    return f"`dask knot prices --refresh{place}` asks AWS"


def packaged() -> PriceList:
    """Give the list that came with dask_knot."""
    return PriceList((_packaged(),))


def refreshed_folder() -> Path | None:
    """Name the folder of the prices that this user has refreshed; None without a home folder."""
    home = home_folder("XDG_CACHE_HOME", ".cache")
    return home / "dask_knot" / "prices" if home else None


def stocked(
    today: datetime.date | None = None, folder: Path | None = None, region: str = ""
) -> PriceList:
    """Give all prices that are here: refreshed ones first, then the packaged ones.

    A file that is damaged is left out, and prices that are older than a year are used: the notes of
    the list say so.

    Parameters
    ----------
    today : datetime.date, optional
        The day; that of the clock, unless told otherwise.
    folder : Path, optional
        That of refreshed prices; the user's, unless told otherwise.
    region : str
        Whose prices should not be old; without one, the newest of all.
    """
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    folder = folder or refreshed_folder()
    sheets = [_packaged()]
    notes: list[str] = []
    for file in sorted(folder.glob(f"*.{NAME}")) if folder else ():
        try:
            sheets.append(_past(read_sheet(file), today))
        except (OSError, PriceFileError) as error:
            notes.append(
                f"the prices in {file} are not used: {error}; {asks(file.name[: -len(NAME) - 1])}"
            )
    found = PriceList(tuple(sorted(sheets, key=lambda sheet: sheet.date, reverse=True)))
    if found.is_old(today, region):
        where = f"prices of {region}" if region else "prices"
        notes.append(f"{where} are of {found.dated(region)}, older than a year: {asks(region)}")
    return PriceList(found.sheets, tuple(notes))


def keep(sheet: PriceSheet, region: str) -> Path:
    """Keep the refreshed prices of a region; another file takes the place of one that is there.

    Raises
    ------
    PriceError
        If there is no home folder, or it can't be written.
    """
    folder = refreshed_folder()
    if folder is None:
        raise PriceError(
            "prices can't be saved: there is no home folder here, and XDG_CACHE_HOME isn't set"
        )
    file = folder / f"{region}.{NAME}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as new:
            new.write(packed(sheet))
        Path(new.name).replace(file)  # who reads meanwhile has the old or the new one
    except OSError as error:
        raise PriceError(f"the prices can't be saved in {file}: {error}") from error
    return file


def read_sheet(file: Path) -> PriceSheet:
    """Read a file of prices.

    Raises
    ------
    FileNotFoundError, OSError
        If it isn't there, or can't be read.
    PriceFileError
        If it is damaged.
    """
    return unpacked(file.read_bytes())


def _past(sheet: PriceSheet, today: datetime.date) -> PriceSheet:
    """Refuse prices of a day to come: they would stand before all others, and never grow old."""
    if sheet.date > today + datetime.timedelta(days=1):  # clocks differ a little
        raise PriceFileError(f"{sheet.date} is in the future")
    return sheet


@cache
def _packaged() -> PriceSheet:
    return unpacked((resources.files("dask_knot") / "prices" / NAME).read_bytes())
