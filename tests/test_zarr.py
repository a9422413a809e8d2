"""Zarr data go to jobs as a URL; each side has its own credentials."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import obstore
import pytest
import xarray as xr

from dask_knot import zarr as zarr_module
from dask_knot.errors import ConfigurationError, MissingExtraError
from dask_knot.zarr import zarr_store
from tests.run.conftest import s3_endpoint, s3_url
from tests.run.fakes3 import Authority, FakeS3, serving

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


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeS3]:
    """Serve every S3 there is, by a proxy, to somebody who has no credentials."""
    pytest.importorskip("zarr", "3.0.8")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    authority = Authority(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
    with serving(authority) as found:
        monkeypatch.setenv("HTTPS_PROXY", found.url)
        yield found


def read(store: Any) -> None:
    """Read one object, by what is below a store of zarr."""
    assert obstore.get(store.store, "zarr.json").bytes() == b"content"


@pytest.mark.parametrize("has_boto3", [True, False])
def test_open_data_elsewhere(
    fake: FakeS3, has_boto3: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zarr_store("s3://open.data/a.zarr", region="us-west-2", anonymous=True, read_only=True)
    read(data)
    assert (fake.last.host, fake.last.path) == (
        "s3.us-west-2.amazonaws.com",
        "/open.data/a.zarr/zarr.json",
    )
    assert "authorization" not in fake.last.headers
    # In a job of another region.
    sent = pickle.dumps(data)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    if not has_boto3:
        monkeypatch.setattr(zarr_module, "find_spec", lambda _: None)
    there = pickle.loads(sent)
    assert there.read_only
    read(there)
    read(there.with_read_only(False))
    assert {one.host for one in fake.asked} == {"s3.us-west-2.amazonaws.com"}
    assert not [one for one in fake.asked if "authorization" in one.headers]


def test_requester_pays(fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFMINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-secret")
    data = zarr_store("s3://paid/a.zarr", region="us-west-2", requester_pays=True)
    read(data)
    assert (fake.last.key, fake.last.headers["x-amz-request-payer"]) == ("AKIDOFMINE", "requester")
    read(pickle.loads(pickle.dumps(data)))
    assert fake.last.headers["x-amz-request-payer"] == "requester"
    with pytest.raises(ConfigurationError, match="exclude each other"):
        zarr_store("s3://paid/a.zarr", anonymous=True, requester_pays=True)


def test_many_stores_of_one_profile_share_a_session(
    fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFMINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    one, other = (zarr_store(f"s3://bucket/{name}.zarr") for name in "ab")
    providers = [store.store.credential_provider for store in (one, other)]
    assert providers[0].__self__ is providers[1].__self__


@pytest.mark.parametrize("url", ["ftp://somewhere/a.zarr", "memory://a.zarr"])
def test_what_jobs_cannot_reach_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use a folder or s3://"):
        zarr_store(url)


SSO = "[profile mine]\nsso_session = lab\n[default]\nregion = eu-west-1\n"


@pytest.mark.parametrize(
    ("files", "variables", "is_refused"),
    [
        ({"config": SSO}, {}, True),
        ({"credentials": "[default]\naws_access_key_id = A\n"}, {}, True),
        ({}, {"AWS_PROFILE": "mine"}, True),
        ({"config": "[default]\nregion = eu-west-1\n"}, {}, False),  # and the role of a machine
        ({"config": SSO}, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b"}, False),
        ({"config": SSO}, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/a"}, False),
        ({}, {}, False),
    ],
    ids=["sso", "keys", "profile", "region", "variables", "container", "nothing"],
)
def test_a_profile_needs_the_library_of_aws(
    files: dict[str, str],
    variables: dict[str, str],
    is_refused: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pytest.importorskip("zarr", "3.0.8")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, text in files.items():
        path = tmp_path / ".aws" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(zarr_module, "find_spec", lambda _: None)
    assert zarr_store("s3://open/a.zarr", anonymous=True)
    if is_refused:
        with pytest.raises(MissingExtraError, match=r"profile.*pip install 'dask_knot\[aws\]'"):
            zarr_store("s3://bucket/a.zarr")
    else:
        assert zarr_store("s3://bucket/a.zarr")
