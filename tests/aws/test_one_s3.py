"""boto3 and the store ask the same S3: the same host, by the same path, with the same trust.

A proxy of the tests stands for every S3 there is: whoever asks for a name gets a certificate of an
authority that only `AWS_CA_BUNDLE` knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dask_knot.aws.session import open_aws_session
from dask_knot.errors import ConfigurationError, StoreAwayError
from dask_knot.run import opening
from dask_knot.run.address import VARIABLE, BucketAddress, address_without_boto
from dask_knot.run.store import Store
from tests.run.fakes3 import Authority, FakeS3, serving

EU = "eu-west-1"
VPCE = "bucket.vpce-0a1b2c-3d4e.s3.eu-west-1.vpce.amazonaws.com"
PROFILE = "[profile lab]\n"

#: Region, bucket, what stands in the configuration, variables, the host that is asked, the path.
Case = tuple[str, str, str, dict[str, str], str, str]
CASES: dict[str, Case] = {
    "plain": (EU, "data", "", {}, "data.s3.eu-west-1.amazonaws.com", "/k"),
    "the oldest region": ("us-east-1", "data", "", {}, "data.s3.us-east-1.amazonaws.com", "/k"),
    "dots": (EU, "my.lab.data", "", {}, "s3.eu-west-1.amazonaws.com", "/my.lab.data/k"),
    "china": ("cn-north-1", "data", "", {}, "data.s3.cn-north-1.amazonaws.com.cn", "/k"),
    "sovereign": ("eusc-de-east-1", "data", "", {}, "data.s3.eusc-de-east-1.amazonaws.eu", "/k"),
    "iso": ("us-iso-east-1", "data", "", {}, "data.s3.us-iso-east-1.c2s.ic.gov", "/k"),
    "gov": ("us-gov-west-1", "data", "", {}, "data.s3.us-gov-west-1.amazonaws.com", "/k"),
    "fips": (
        "us-east-2",
        "data",
        "use_fips_endpoint = true\n",
        {},
        "data.s3-fips.us-east-2.amazonaws.com",
        "/k",
    ),
    "fips by a variable": (
        "us-gov-east-1",
        "data",
        "",
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        "data.s3-fips.us-gov-east-1.amazonaws.com",
        "/k",
    ),
    "dual stack": (
        EU,
        "data",
        "use_dualstack_endpoint = true\n",
        {},
        "data.s3.dualstack.eu-west-1.amazonaws.com",
        "/k",
    ),
    "privatelink": (EU, "data", f"endpoint_url = https://{VPCE}\n", {}, VPCE, "/data/k"),
    "services": (
        EU,
        "data",
        f"services = own\n[services own]\ns3 =\n  endpoint_url = https://{VPCE}\n",
        {},
        VPCE,
        "/data/k",
    ),
    "a variable": (
        EU,
        "data",
        "",
        {
            "AWS_ENDPOINT_URL_S3": "https://minio.lab/base",
            "AWS_ENDPOINT_URL": "https://elsewhere.lab",
        },
        "minio.lab",
        "/base/data/k",
    ),
    "ignored endpoints": (
        EU,
        "data",
        "endpoint_url = https://elsewhere.lab\n",
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL_S3": "https://no.lab"},
        "data.s3.eu-west-1.amazonaws.com",
        "/k",
    ),
    "path style": (
        EU,
        "data",
        "s3 =\n  addressing_style = path\n",
        {},
        "s3.eu-west-1.amazonaws.com",
        "/data/k",
    ),
    "virtual style of another S3": (
        EU,
        "data",
        "endpoint_url = https://ceph.lab\ns3 =\n  addressing_style = virtual\n",
        {},
        "data.ceph.lab",
        "/k",
    ),
    "accelerated": (
        EU,
        "data",
        "s3 =\n  use_accelerate_endpoint = true\n",
        {},
        "data.s3-accelerate.amazonaws.com",
        "/k",
    ),
    "r2": (
        "auto",
        "data",
        "endpoint_url = https://0a1b.r2.cloudflarestorage.com\n",
        {},
        "0a1b.r2.cloudflarestorage.com",
        "/data/k",
    ),
    "an access point": (
        EU,
        "lab-0123456789abcdef0123456789abcdef-s3alias",
        "",
        {},
        "lab-0123456789abcdef0123456789abcdef-s3alias.s3.eu-west-1.amazonaws.com",
        "/k",
    ),
    "a directory bucket": (
        EU,
        "data--euw1-az1--x-s3",
        "",
        {},
        "data--euw1-az1--x-s3.s3express-euw1-az1.eu-west-1.amazonaws.com",
        "/k",
    ),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority that nobody trusts by himself."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def fake(authority: Authority) -> Iterator[FakeS3]:
    """Serve every S3 there is."""
    with serving(authority) as found:
        yield found


@pytest.fixture(autouse=True)
def _lab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake: FakeS3, authority: Authority
) -> None:
    """Put this process into a network of which the proxy is the only way out."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "NO_PROXY", "no_proxy", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", fake.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
    (tmp_path / "config").write_text(PROFILE)
    keys = "aws_access_key_id = AKIDOFMINE\naws_secret_access_key = secret\n"
    (tmp_path / "credentials").write_text("[lab]\n" + keys)
    monkeypatch.setattr(opening, "RETRIES", {"max_retries": 0, "retry_timeout": opening.CONNECT})


@pytest.mark.parametrize("name", CASES)
def test_they_ask_the_same_host(
    name: str, fake: FakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region, bucket, config, variables, host, path = CASES[name]
    (tmp_path / "config").write_text(PROFILE + config)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with closing(open_aws_session("lab", region)) as session:
        session.client("s3").head_object(Bucket=bucket, Key="k")
        assert (fake.last.host, fake.last.path) == (host, path)
        store = Store(f"s3://{bucket}", **session.store_options(f"s3://{bucket}"))
        told = session.told(f"s3://{bucket}")
    assert store.has("k")
    assert (fake.last.host, fake.last.path) == (host, path)
    # In a job, which has neither boto3 nor the configuration of its client.
    for variable in variables:
        monkeypatch.delenv(variable)
    monkeypatch.setenv(VARIABLE, told)
    monkeypatch.setenv("AWS_REGION", region)
    fake.asked.clear()
    assert Store(f"s3://{bucket}").has("k")
    assert (fake.last.host, fake.last.path) == (host, path)


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({"AWS_REGION": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ({"AWS_REGION": "eusc-de-east-1"}, "https://s3.eusc-de-east-1.amazonaws.eu"),
        ({"AWS_REGION": "us-isob-east-1"}, "https://s3.us-isob-east-1.sc2s.sgov.gov"),
        (
            {"AWS_DEFAULT_REGION": EU, "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "us-west-2", "AWS_USE_FIPS_ENDPOINT": "TRUE"},
            "https://s3-fips.us-west-2.amazonaws.com",
        ),
        ({"AWS_REGION": EU, "AWS_ENDPOINT_URL": "http://a.lab/"}, "http://a.lab"),
        # What a user sets for his jobs comes before what his client has found.
        (
            {VARIABLE: BucketAddress("data", EU, "https://b.lab").told(), "AWS_ENDPOINT_URL": "x"},
            "x",
        ),
        ({VARIABLE: BucketAddress("data", EU, "https://b.lab").told()}, "https://b.lab"),
        ({VARIABLE: BucketAddress("other", EU, "https://b.lab").told()}, None),
        ({}, None),
    ],
)
def test_without_boto3(environ: dict[str, str], endpoint: str | None) -> None:
    found = address_without_boto("data", environ)
    assert (found and found.endpoint) == endpoint


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "data.localhost"])
def test_jobs_are_not_sent_to_this_machine(host: str) -> None:
    assert BucketAddress("data", EU, f"http://{host}:9000").told() == ""


def test_the_store_trusts_whom_boto3_trusts(
    fake: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with closing(open_aws_session("lab", EU)) as session:
        strict = Store("s3://data", **session.store_options("s3://data"))
        with pytest.raises(StoreAwayError, match=r"not trusted \(UnknownIssuer\).*AWS_CA_BUNDLE"):
            strict.get("k")
    (tmp_path / "config").write_text(f"{PROFILE}ca_bundle = {authority.file}\n")
    with closing(open_aws_session("lab", EU)) as session:
        store = Store("s3://data", **session.store_options("s3://data"))
    assert store.get("k") == b"content"


@pytest.mark.parametrize("content", [None, "not a certificate", "-----BEGIN CERTIFICATE-----\nx"])
def test_certificates_that_are_none(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with (
        closing(open_aws_session("lab", EU)) as session,
        pytest.raises(ConfigurationError, match=r"AWS_CA_BUNDLE.*ca.pem.*PEM"),
    ):
        session.store_options("s3://data")


def test_jobs_get_the_certificates_of_an_endpoint_of_ones_own(
    authority: Authority, tmp_path: Path
) -> None:
    with closing(open_aws_session("lab", EU)) as session:
        assert "CERTIFICATE" not in session.told("s3://data")
        (tmp_path / "config").write_text(f"{PROFILE}endpoint_url = https://minio.lab\n")
    with closing(open_aws_session("lab", EU)) as session:
        assert "CERTIFICATE" in session.told("s3://data")


@pytest.mark.parametrize("excluded", ["amazonaws.com", ".amazonaws.com", "*"])
def test_both_leave_out_the_proxy_for_the_same_hosts(
    excluded: str, fake: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", excluded)
    with closing(open_aws_session("lab", EU)) as session:
        client: Any = session.store_options("s3://data")["client_options"]
    assert client["proxy_excludes"] == "data.s3.eu-west-1.amazonaws.com"
    monkeypatch.setenv("NO_PROXY", "vpce.amazonaws.com")  # which covers another host
    monkeypatch.setenv("HTTPS_PROXY", fake.url.removeprefix("http://"))
    with closing(open_aws_session("lab", EU)) as session:
        store = Store("s3://data", **session.store_options("s3://data"))
    assert store.get("k") == b"content"


def test_settings_that_boto3_stumbles_over_are_said(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"{PROFILE}s3 = virtual\n")
    with (
        closing(open_aws_session("lab", EU)) as session,
        pytest.raises(ConfigurationError, match=r"lines of their own"),
    ):
        session.address("data")


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_both_leave_a_proxy_alone_that_boto3_does_not_know(
    name: str, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in ("HTTPS_PROXY", "https_proxy", "no_proxy"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody is
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url.replace("http://127.0.0.1", "http://[::1]"))
    with closing(open_aws_session("lab", EU)) as session:
        client: Any = session.store_options("s3://data")["client_options"]
    is_used = name == "HTTP_PROXY"
    assert (client["proxy_url"] == "http://127.0.0.1:9") is is_used
    assert client.get("proxy_excludes") == (None if is_used else "::1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with closing(open_aws_session("lab", EU)) as session:
        assert Store("s3://data", **session.store_options("s3://data")).get("k") == b"content"


def test_an_access_point_by_its_alias() -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint"
    with (
        closing(open_aws_session("lab", EU)) as session,
        pytest.raises(ConfigurationError, match="access point's alias"),
    ):
        session.store_options(f"s3://{arn}/lab")
