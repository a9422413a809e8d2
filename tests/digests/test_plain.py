"""Addresses: what is read is told from what is only said about data."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from dask_knot.digests.graph import Digester

PAGE = "https://furtherinfo.es-doc.org/CMIP6.MOHC.historical.r1i1p1f2"


@pytest.mark.parametrize(
    "value",
    [
        {"further_info_url": PAGE},
        {"attrs": {"url": PAGE, "level": np.float32(2.0)}},
        xr.DataArray(np.zeros(3), attrs={"further_info_url": PAGE, "scale": np.float64(1)}),
        xr.Dataset({"a": ("x", np.zeros(2), {"references": "https://doi.org/10.1029/2020"})}),
    ],
)
def test_an_address_that_is_noted_is_a_text(value: object) -> None:
    assert Digester().of_value(value) is not None


@pytest.mark.parametrize(
    "value",
    [
        PAGE,
        [PAGE],
        {"url": ["https://host/data.nc"]},
        {"url": "https://host/data.zarr/"},
        {"url": "https://host/a.csv?raw=true"},
        {"url": "https://host/a.tar.gz"},
    ],
)
def test_an_address_that_may_be_read_is_not(value: object) -> None:
    assert Digester().of_value(value) is None


def test_noted_addresses_are_told_apart() -> None:
    digests = {Digester().of_value({"url": f"https://host/{name}"}) for name in ("a", "b")}
    assert len(digests) == 2
