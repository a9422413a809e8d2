"""The first look at a store in S3: what is wrong is told within seconds, with what was tried."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from dask_knot import KnotCluster
from dask_knot.errors import (
    StoreAccessError,
    StoreAwayError,
    StoreError,
)
from dask_knot.run.firstlook import FEW_TRIES, STILL, look_first
from dask_knot.run.frames import brief
from dask_knot.run.opening import RETRIES
from dask_knot.run.store import Store
from tests.run.fakes3 import Asked, FakeS3, Reply, refusal, serving

URL = "s3://lab-bucket/knot"


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    """Serve an S3."""
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def look(monkeypatch: pytest.MonkeyPatch, endpoint: str, still: float = 0.5) -> str:
    """Give what a look at a store at some address says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(StoreError) as found:
        look_first(URL, Counter(), still=timedelta(seconds=still))
    assert found.value.__suppress_context__
    assert "Debug source" not in str(found.value)
    return f"{type(found.value).__name__}: {found.value}"


@pytest.fixture
def closed() -> Iterator[str]:
    """Give an address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_what_can_be_used_takes_one_request(monkeypatch: pytest.MonkeyPatch, fake: FakeS3) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url)
    requests = Counter[str]()
    look_first(URL, requests)
    assert requests == {"get": 1}
    assert [(one.method, one.path) for one in fake.asked] == [
        ("GET", "/lab-bucket/knot/first-look")
    ]


def test_an_object_that_is_not_there_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, fake: FakeS3
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url)
    fake.reply = lambda _: refusal("NoSuchKey", status=404)
    look_first(URL, Counter())
    assert len(fake.asked) == 1


def test_other_stores_are_not_asked() -> None:
    requests = Counter[str]()
    look_first("memory://", requests)
    assert not requests


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    assert look(monkeypatch, closed) == (
        f"StoreAwayError: the store {URL} can't be opened: 127.0.0.1 can't be reached (Connection "
        f"refused). Tried: bucket 'lab-bucket', region eu-west-1, endpoint {closed}, credentials: "
        "those of AWS_ACCESS_KEY_ID. Fix: check the network, the endpoint and proxies"
    )


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    said = look(monkeypatch, "http://nobody.invalid", still=4)
    assert said.startswith(f"StoreAwayError: the store {URL} can't be opened: ")
    assert "endpoint http://nobody.invalid," in said
    assert "Fix: check the network" in said


def test_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        said = look(monkeypatch, f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert "nothing was heard of 127.0.0.1 for too long" in said


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            refusal("NoSuchBucket", status=404),
            "StoreGoneError: the store s3://lab-bucket/knot can't be opened: there is no bucket "
            "'lab-bucket'. Tried: bucket 'lab-bucket', region eu-west-1, ",
        ),
        (
            refusal("AuthorizationHeaderMalformed", "expecting 'us-west-2'", 400),
            "the bucket is in another region (AuthorizationHeaderMalformed: expecting 'us-west-2')",
        ),
        ((301, "", {}), "StoreAccessError: the store s3://lab-bucket/knot can't be opened: the b"),
        ((301, "", {}), "Fix: set AWS_REGION to the bucket's own, which `aws s3api head-bucket"),
        (
            refusal("ExpiredToken", "The token has expired.", 400),
            "the credentials have expired (ExpiredToken: The token has expired). Tried: ",
        ),
        (
            refusal("AccessDenied", "no identity-based policy allows it"),
            "StoreAccessError: the store s3://lab-bucket/knot can't be opened: a permission is "
            "missing (AccessDenied: no identity-based policy allows it). Tried: ",
        ),
        (
            refusal("AccessDenied", "no identity-based policy allows it"),
            "Fix: ask for the permissions that `dask knot policy` prints",
        ),
    ],
)
def test_refusals(monkeypatch: pytest.MonkeyPatch, fake: FakeS3, reply: Reply, words: str) -> None:
    fake.reply = lambda _: reply
    assert words in look(monkeypatch, fake.url, still=4)


def test_who_may_list_but_not_read_that_object_may_go_on(
    monkeypatch: pytest.MonkeyPatch, fake: FakeS3
) -> None:
    def reply(asked: Asked) -> Reply:
        if "list-type" in asked.path:
            return 200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>", {}
        return refusal("AccessDenied")

    fake.reply = reply
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url)
    requests = Counter[str]()
    look_first(URL, requests)
    assert requests == {"get": 1, "list": 1}


def test_credentials_that_are_nowhere(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"{closed}")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with pytest.raises(StoreAwayError) as found:
        look_first(URL, Counter(), still=timedelta(seconds=0.5))
    said = str(found.value)
    assert "can't be opened: there are no credentials. Tried: bucket 'lab-bucket', region " in said
    assert "us-east-1 (AWS_REGION isn't set), credentials: none in variables" in said
    assert "(AWS_PROFILE=lab isn't read by this engine)" in said
    assert "`" not in said
    assert said.endswith('eval "$(aws configure export-credentials --profile lab --format env)"')


@pytest.mark.parametrize("name", [None, "study"])
def test_a_cluster_says_it_at_opening(
    monkeypatch: pytest.MonkeyPatch, closed: str, name: str | None
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", closed)
    began = time.monotonic()
    with pytest.raises(StoreAwayError, match=r"can't be opened: .*refused\)\. Tried: .* Fix: "):
        KnotCluster(jobs=1, store=URL, name=name)
    assert time.monotonic() - began < RETRIES["retry_timeout"].total_seconds() / 2  # type: ignore[attr-defined]


def test_it_ends_within_ten_seconds() -> None:
    assert FEW_TRIES["retry_timeout"] == STILL
    assert timedelta(seconds=10) > 2 * STILL  # the last try begins before the first time is over


def test_what_obstore_says_to_programmers_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, fake: FakeS3
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url)
    fake.reply = lambda _: refusal("AccessDenied", "no identity-based policy allows it")
    with pytest.raises(StoreAccessError) as found:
        brief(Store(URL).get)("a")
    assert found.value.__cause__ is None
