"""Stores of every kind, S3 on a server of this process."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.store.store import Store

_bucket_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Start moto's S3 server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto warns before the import that fails
        reason = "the S3 server of the tests is not installed: moto[server]"
        server_module = pytest.importorskip("moto.server", reason=reason, exc_type=ImportError)
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an empty bucket, and let the environment say where it is."""
    boto3 = pytest.importorskip("boto3")
    settings = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{next(_bucket_numbers)}"
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Open an empty store of each kind."""
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    return Store("memory://" if request.param == "memory" else tmp_path / "a folder")
