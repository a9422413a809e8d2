"""What S3 and the network answer is said in plain words, with what to do; nothing is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dask_knot.errors import (
    ConfigurationError,
    ReadOnlyStoreError,
    StoreAccessError,
    StoreAwayError,
    StoreError,
)
from dask_knot.run import opening
from dask_knot.run.answers import ANSWERS
from dask_knot.run.store import Store
from dask_knot.run.trouble import may_pass
from tests.run.fakes3 import Authority, FakeS3, Reply, refusal, serving


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    """Serve an S3."""
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let obstore ask once, without what this machine's network needs."""
    monkeypatch.setattr(opening, "RETRIES", {"max_retries": 0, "retry_timeout": opening.CONNECT})
    for name in ("AWS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def store_at(endpoint: str, renew: Callable[[], object] | None = None, **client: object) -> Store:
    """Open a store as somebody with keys."""
    return Store(
        "s3://data/knot",
        renew,
        region="eu-west-1",
        endpoint=endpoint,
        access_key_id="AKIDEXAMPLE",
        secret_access_key="secret",
        client_options={"allow_http": True, **client},
    )


AWAY, ACCESS, READ_ONLY = StoreAwayError, StoreAccessError, ReadOnlyStoreError
REFUSALS: dict[str, tuple[Reply, type[StoreError], str]] = {
    "clock": (
        refusal("RequestTimeTooSkewed", "The difference is too large."),
        AWAY,
        r"this machine's clock is wrong \(RequestTimeTooSkewed: The diff.*\. Set the clock",
    ),
    "expired": (
        refusal("ExpiredToken", "The provided token has expired.", 400),
        AWAY,
        r"have expired \(ExpiredToken: The prov.*\. Sign in again",
    ),
    "unknown key": (refusal("InvalidAccessKeyId"), AWAY, r"unknown to this S3.*Sign in again"),
    "wrong secret": (refusal("SignatureDoesNotMatch"), AWAY, r"wrong secret key, or a proxy"),
    "kms disabled": (
        refusal("KMS.DisabledException", "arn:aws:kms:x is disabled.", 400),
        ACCESS,
        r"KMS key of the bucket is disabled \(KMS.*arn:aws:kms:x is disabled\)\. Enable the KMS",
    ),
    "kms state": (
        refusal("KMS.KMSInvalidStateException", "arn is pending deletion.", 400),
        ACCESS,
        r"about to be deleted.*pending deletion",
    ),
    "kms permission": (
        refusal(
            "AccessDenied", "not authorized to perform: kms:GenerateDataKey on the resource ..."
        ),
        READ_ONLY,
        r"KMS key of the bucket may not be used.*kms:GenerateDataKey.*policy of the key",
    ),
    "bucket policy": (
        refusal("AccessDenied", "with an explicit deny in a resource-based policy"),
        READ_ONLY,
        r"bucket's own policy refuses it.*AES256 and aws:kms were tried",
    ),
    "endpoint policy": (
        refusal("AccessDenied", "because no VPC endpoint policy allows the s3:PutObject action"),
        READ_ONLY,
        r"policy of the VPC's endpoint.*Allow the bucket there",
    ),
    "organization": (
        refusal("AccessDenied", "with an explicit deny in a service control policy"),
        READ_ONLY,
        "organization refuses it",
    ),
    "permission": (
        refusal("AccessDenied", "because no identity-based policy allows it"),
        READ_ONLY,
        r"no identity-based policy allows it.*dask knot policy",
    ),
    "object lock": (
        refusal("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required", 400),
        ACCESS,
        r"the bucket wants a checksum.*not enough",
    ),
    "wrong region": (
        refusal("AuthorizationHeaderMalformed", "the region is wrong; expecting 'us-west-2'", 400),
        ACCESS,
        r"in another region \(.*expecting 'us-west-2'\).*region=",
    ),
    "redirect": ((301, "", {}), ACCESS, r"in another region.*head-bucket"),
    "name": (refusal("InvalidBucketName", status=400), ACCESS, "no bucket can have this name"),
    "account": (refusal("AccountProblem"), READ_ONLY, "serve the account.*mail and bills"),
    "busy": (refusal("SlowDown", "Reduce your request rate.", 503), AWAY, "S3 is busy.*Reduce"),
    "quota": (refusal("QuotaExceeded", status=409), ACCESS, "quota of the store is used up"),
    "proxy": ((407, "who are you?", {}), AWAY, r"proxy.*name and a password \(407\).*HTTPS_PROXY"),
    "odd": (refusal("Odd", "the moon is full", 400), AWAY, "the moon is full"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_s3_answers_is_said(name: str, fake: FakeS3) -> None:
    reply, kind, words = REFUSALS[name]
    fake.reply = lambda _: reply
    store = store_at(fake.url)
    with pytest.raises(StoreError, match=words) as found:
        store.put("run/a", [b"x"])
    assert type(found.value) is kind
    assert "Debug source" not in str(found.value)
    # What only somebody else can end isn't waited for.
    assert may_pass(store.url, found.value) is (kind is AWAY)


def test_s3_says_nothing_to_a_head(fake: FakeS3) -> None:
    fake.reply = lambda _: (400, "", {})
    renewed: list[int] = []
    store = store_at(fake.url, lambda: renewed.append(1))
    with pytest.raises(StoreAwayError, match="have expired, or the bucket is in another region"):
        store.has("a")
    assert renewed == [1]


def test_nobody_gives_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    store = Store("s3://data", region="eu-west-1", metadata_endpoint="http://127.0.0.1:1")
    with pytest.raises(StoreAwayError, match=r"there are no credentials.*knot\.aws\.job-role"):
        store.get("a")


def test_certificates_that_an_image_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=r"/nowhere/ca\.pem.*what its image holds"):
        Store("s3://data")


def test_every_answer_says_what_to_do() -> None:
    for code, meaning in ANSWERS.items():
        assert meaning.meaning, code
        assert meaning.cure[0].isupper(), code


def test_the_name_of_a_host_that_is_not_known() -> None:
    with pytest.raises(StoreAwayError, match=r"the name nowhere\.invalid is not known here \("):
        store_at("http://nowhere.invalid").get("a")


def test_nobody_listens() -> None:
    with pytest.raises(StoreAwayError, match=r"127\.0\.0\.1 can't be reached \(.*refused.*\)"):
        store_at("http://127.0.0.1:1").get("a")


def test_a_proxy_that_refuses_tunnels(fake: FakeS3) -> None:
    store = store_at("https://data.lab", proxy_url=fake.url)
    with pytest.raises(StoreAwayError, match=r"the proxy refuses the way to data\.lab.*NO_PROXY"):
        store.get("a")


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    with serving(Authority(tmp_path)) as fake:
        store = store_at("https://data.lab", proxy_url=fake.url)
        with pytest.raises(StoreAwayError, match=r"certificate of data\.lab is not trusted"):
            store.get("a")


def test_a_job_trusts_whom_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(authority := Authority(tmp_path)) as fake:
        for name, value in {
            "AWS_CA_BUNDLE": str(authority.file),
            "HTTPS_PROXY": fake.url,
            "AWS_REGION": "cn-north-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }.items():
            monkeypatch.setenv(name, value)
        assert Store("s3://data").get("a") == b"content"
        assert fake.last.host == "s3.cn-north-1.amazonaws.com.cn"
