"""Zarr data go to jobs as a URL; each side has its own credentials."""

from __future__ import annotations

import pickle
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

from dask_knot.errors import ConfigurationError
from dask_knot.zarr import ZarrStore

DATA = xr.Dataset({"a": ("x", np.arange(10.0))})


def test_a_folder_is_written_and_read_by_its_url(tmp_path: Path) -> None:
    url = (tmp_path / "some data" / "a.zarr").as_uri()
    DATA.to_zarr(ZarrStore(url), consolidated=False)
    with xr.open_zarr(tmp_path / "some data" / "a.zarr", consolidated=False) as by_path:
        xr.testing.assert_identical(by_path.load(), DATA)
    sent = pickle.loads(pickle.dumps(ZarrStore(str(tmp_path / "some data" / "a.zarr"))))
    with xr.open_zarr(sent, consolidated=False, chunks={}) as by_store:
        assert float(by_store.a.sum().compute(scheduler="processes")) == 45


def test_what_may_not_be_written_stays_so_when_it_is_sent(tmp_path: Path) -> None:
    store = ZarrStore(str(tmp_path), read_only=True)
    sent = pickle.loads(pickle.dumps(store))
    assert sent == store
    assert sent.read_only
    assert not sent.with_read_only(False).read_only


def test_no_credentials_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFMINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    store = ZarrStore("s3://bucket/a.zarr")
    sent = pickle.dumps(store)
    assert b"s3://bucket/a.zarr" in sent
    assert b"AKIDOFMINE" not in sent
    assert b"my-secret" not in sent
    again = ZarrStore("s3://bucket/a.zarr")
    assert dask.base.tokenize(store) == dask.base.tokenize(again)


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ftp://somewhere"):
        ZarrStore("ftp://somewhere/a.zarr")
