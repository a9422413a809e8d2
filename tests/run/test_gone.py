"""A bucket that was deleted is no trouble that passes: it is told at once, and by its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dask_knot.errors import MissingObjectError, StoreGoneError
from dask_knot.run.run import Run
from dask_knot.run.store import Store

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(endpoint: str) -> Iterator[Any]:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    yield client
    client.close()


@pytest.fixture
def store(endpoint: str, s3: Any) -> Store:
    """Give a store whose bucket is deleted while it is open."""
    s3.create_bucket(Bucket="doomed")
    options = {"endpoint": endpoint, "region": "us-east-1", "client_options": {"allow_http": True}}
    store = Store("s3://doomed/knot", access_key_id="a", secret_access_key="b", **options)
    store.put("run/there", [b"x"])
    with pytest.raises(MissingObjectError):
        store.get("run/missing")
    store.delete(["run/there"])
    s3.delete_bucket(Bucket="doomed")
    return store


CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("run/a", [b"x"]),
    "put of parts": lambda store: store.put("run/a", [b"x" * 2**20] * 20),
    "put_new": lambda store: store.put_new("run/a", [b"x"]),
    "get": lambda store: store.get("run/a"),
    "get_range": lambda store: store.get_range("run/a", 0, 1),
    "list": lambda store: store.list("run/"),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_says_so_at_once(call: str, store: Store) -> None:
    start = time.monotonic()
    with pytest.raises(StoreGoneError, match=r"the bucket of the store s3://doomed/knot is gone"):
        CALLS[call](store)
    assert time.monotonic() - start < 20


def test_there_is_nothing_left_to_delete(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    Run(store, "run").delete_all()
    assert [one for one in caplog.records if one.name.startswith("dask_knot")] == []
