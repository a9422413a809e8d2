"""The lists of prices that are here: the packaged one, and what this user has refreshed."""

from __future__ import annotations

import datetime
from functools import cache
from importlib import resources
from pathlib import Path

from dask_knot.errors import PriceFileError
from dask_knot.prices.pricelist import PriceList, PriceSheet
from dask_knot.prices.sheetfile import unpacked
from dask_knot.settings.home import home_folder

NAME = "prices.json.gz"


def packaged() -> PriceList:
    """Give the list that came with dask_knot."""
    return PriceList((_packaged(),))


def refreshed_file() -> Path | None:
    """Name the file of the prices that this user has refreshed; None without a home folder."""
    home = home_folder("XDG_CACHE_HOME", ".cache")
    return home / "dask_knot" / NAME if home else None


def stocked(today: datetime.date | None = None, file: Path | None = None) -> PriceList:
    """Give all prices that are here: refreshed ones first, then the packaged ones.

    A file that is damaged is left out, and one that is older than a year is used: the notes of the
    list say so.

    Parameters
    ----------
    today : datetime.date, optional
        The day; that of the clock, unless told otherwise.
    file : Path, optional
        That of refreshed prices; the user's, unless told otherwise.
    """
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    file = file or refreshed_file()
    sheets = [_packaged()]
    notes: list[str] = []
    try:
        if file is not None:
            sheets.insert(0, read_sheet(file))
    except FileNotFoundError:
        pass
    except (OSError, PriceFileError) as error:
        notes.append(
            f"the refreshed prices in {file} are not used: {error}. The packaged ones of "
            f"{sheets[0].date} are; `dask knot prices --refresh` asks AWS again"
        )
    found = PriceList(tuple(sorted(sheets, key=lambda sheet: sheet.date, reverse=True)))
    if found.is_old(today):
        notes.append(
            f"the prices here are older than a year ({found.date}): "
            "`dask knot prices --refresh` asks AWS for newer ones"
        )
    return PriceList(found.sheets, tuple(notes))


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


@cache
def _packaged() -> PriceSheet:
    return unpacked((resources.files("dask_knot") / "prices" / NAME).read_bytes())
