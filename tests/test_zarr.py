"""Zarr data go to jobs as a URL; each side has its own credentials."""

from __future__ import annotations

import pickle
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

from dask_knot.errors import ConfigurationError
from dask_knot.zarr import zarr_store
from tests.run.conftest import s3_endpoint, s3_url

__all__ = ["s3_endpoint", "s3_url"]

DATA = xr.Dataset({"a": ("x", np.arange(10.0))})


def test_a_folder_is_a_path_that_every_zarr_takes(tmp_path: Path) -> None:
    folder = tmp_path / "some data" / "a.zarr"
    assert zarr_store(folder.as_uri()) == zarr_store(str(folder)) == str(folder)
    DATA.to_zarr(zarr_store(folder.as_uri()), consolidated=False)
    with xr.open_zarr(folder, consolidated=False) as found:
        xr.testing.assert_identical(found.load(), DATA)


def test_data_in_s3_are_written_and_read_where_they_are_sent(s3_url: str) -> None:
    pytest.importorskip("zarr", "3.0.8")
    DATA.to_zarr(zarr_store(f"{s3_url}/a.zarr"), consolidated=False)
    sent = pickle.loads(pickle.dumps(zarr_store(f"{s3_url}/a.zarr")))
    with xr.open_zarr(sent, consolidated=False, chunks={}) as found:
        assert float(found.a.sum().compute(scheduler="processes")) == 45


def test_no_credentials_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr", "3.0.8")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFMINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    store = zarr_store("s3://bucket/a.zarr", read_only=True)
    sent = pickle.dumps(store)
    assert b"s3://bucket/a.zarr" in sent
    assert b"AKIDOFMINE" not in sent
    assert b"my-secret" not in sent
    assert pickle.loads(sent).read_only
    assert not pickle.loads(sent).with_read_only(False).read_only
    again = zarr_store("s3://bucket/a.zarr", read_only=True)
    assert dask.base.tokenize(store) == dask.base.tokenize(again)


@pytest.mark.parametrize("url", ["ftp://somewhere/a.zarr", "memory://a.zarr"])
def test_what_jobs_cannot_reach_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use a folder or s3://"):
        zarr_store(url)
