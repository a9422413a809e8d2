"""Marks of objects in S3, on a server of this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dask_knot.digests import objects
from dask_knot.digests.files import FileMarks
from dask_knot.digests.objects import ObjectMarks
from dask_knot.digests.refusal import UndigestibleError
from tests.run.conftest import s3_endpoint, s3_url

__all__ = ["s3_endpoint", "s3_url"]  # fixtures


class CountedClient:
    """Counts what is asked of a client of S3."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._client, name)


@pytest.fixture
def client(s3_url: str) -> Iterator[CountedClient]:
    boto3 = pytest.importorskip("boto3")
    made = boto3.client("s3", region_name="us-east-1")
    yield CountedClient(made)
    made.close()


def put(client: CountedClient, url: str, text: str) -> None:
    bucket, _, name = url.removeprefix("s3://").partition("/")
    client.put_object(Bucket=bucket, Key=name, Body=text.encode())


def look(url: str) -> bytes | None:
    marks = FileMarks()
    with marks.snapshot():
        return marks.mark(url)


@pytest.mark.parametrize(
    ("form", "is_there"),
    [
        ("{}/a.zarr/0.0", True),
        ("{}/a.zarr", True),
        ("{}/a.zarr/", True),
        ("{}", True),
        ("{}/*.zarr", True),
        ("{}/**", True),
        ("{}/*/0.[0-3]", True),
        ("{}/?.zarr/0.0", True),
        ("{}/[!b].zarr/0*", True),
        ("{}/a", False),
        ("{}/*", True),
        ("{}/*.nc", False),
        ("{}/0.0", False),
    ],
)
def test_an_object_is_what_is_in_it(
    client: CountedClient, s3_url: str, form: str, is_there: bool
) -> None:
    url = form.format(s3_url)
    assert look(url) is None
    put(client, f"{s3_url}/a.zarr/0.0", "content")
    put(client, f"{s3_url}/b.parquet", "content")
    first = look(url)
    assert (first is not None) is is_there
    put(client, f"{s3_url}/a.zarr/0.0", "content")
    assert look(url) == first
    put(client, f"{s3_url}/a.zarr/0.0", "CONTENT")
    assert (look(url) != first) is is_there


def test_a_folder_changes_with_each_name(client: CountedClient, s3_url: str) -> None:
    put(client, f"{s3_url}/a/1", "content")
    first = look(f"{s3_url}/a")
    put(client, f"{s3_url}/a-b/1", "content")
    assert look(f"{s3_url}/a") == first
    put(client, f"{s3_url}/a/2", "content")
    assert look(f"{s3_url}/a") != first


def test_s3a_is_another_word_for_it(client: CountedClient, s3_url: str) -> None:
    put(client, f"{s3_url}/a", "content")
    assert look(f"{s3_url}/a".replace("s3:", "s3a:")) == look(f"{s3_url}/a")


def test_many_names_of_a_folder_are_listed_at_once(client: CountedClient, s3_url: str) -> None:
    for number in range(20):
        put(client, f"{s3_url}/{number}.nc", str(number))
    bucket, _, folder = s3_url.removeprefix("s3://").partition("/")
    client.asked.clear()
    marks = ObjectMarks(100, lambda: client)
    found = [marks.mark(bucket, f"{folder}/{number}.nc") for number in range(20)]
    assert client.asked == [*["head_object"] * objects.ONE_BY_ONE, "get_paginator"]
    alone = [look(f"{s3_url}/{number}.nc") for number in range(20)]
    assert found == alone
    assert len({*found}) == 20
    assert marks.mark(bucket, f"{folder}/20.nc") is None


def test_a_folder_too_large_to_list_is_asked_name_by_name(
    client: CountedClient, s3_url: str
) -> None:
    for number in range(8):
        put(client, f"{s3_url}/{number}.nc", str(number))
    bucket, _, folder = s3_url.removeprefix("s3://").partition("/")
    client.asked.clear()
    marks = ObjectMarks(5, lambda: client)
    assert None not in [marks.mark(bucket, f"{folder}/{number}.nc") for number in range(8)]
    assert client.asked.count("head_object") == 8
    assert client.asked.count("get_paginator") == 1
    with pytest.raises(UndigestibleError, match="more than 5 objects"):
        marks.mark(bucket, folder)


def test_a_bucket_that_is_not_there_is_refused_or_names_nothing(s3_url: str) -> None:
    with pytest.raises(UndigestibleError, match="s3://no-such-bucket-here/x can't be checked"):
        look("s3://no-such-bucket-here/x")


def test_an_outage_is_waited_for_once() -> None:
    asked = []

    class Away:
        def head_object(self, **request: object) -> None:
            asked.append(request)
            raise TimeoutError("no network")

        def close(self) -> None:
            pass

    marks = ObjectMarks(5, Away)
    for number in range(3):
        with pytest.raises(UndigestibleError, match=f"s3://bucket/{number}.*no network"):
            marks.mark("bucket", str(number))
    assert len(asked) == 1
    marks.close()
    with pytest.raises(UndigestibleError):
        marks.mark("bucket", "0")
    assert len(asked) == 2


def test_without_credentials_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile-here")
    with pytest.raises(UndigestibleError, match="no-such-profile-here"):
        look("s3://bucket/name")
