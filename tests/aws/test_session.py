"""Credentials come by boto3's chain, and what AWS refuses is said in our own words."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from moto import mock_aws

from dask_knot.aws.refusals import action_of
from dask_knot.aws.session import AwsSession, open_aws_session, translate, translated
from dask_knot.errors import (
    AccessError,
    AwsError,
    ConfigurationError,
    CredentialsError,
    KnotError,
    QuotaError,
    UnreachableError,
)


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away every credential and setting that this machine may have."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("DEFAULT_REGION", "ENDPOINT_URL", "ENDPOINT_URL_S3", "DEFAULT_PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def _somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")


#: What botocore says in a plain RuntimeError.
EXPIRED = "Credentials were refreshed, but the refreshed credentials are still expired."


def refused(
    code: str, message: str = "", call: str = "SubmitJob", status: int = 400
) -> boto.ClientError:
    """Make what botocore raises when AWS refuses."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return boto.ClientError(answer, call)


def test_no_credentials() -> None:
    with pytest.raises(CredentialsError, match="aws sso login"):
        open_aws_session(region="eu-west-1")


@pytest.mark.usefixtures("_somebody")
def test_no_region() -> None:
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        open_aws_session()


@pytest.mark.usefixtures("_somebody")
@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "eu-north-1")
    assert open_aws_session().region == "eu-north-1"
    assert open_aws_session(region="eu-west-1").region == "eu-west-1"


def test_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[profile lab]\nregion = ap-south-1\n")
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = AKID\naws_secret_access_key = secret\n"
    )
    assert open_aws_session("lab").region == "ap-south-1"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert open_aws_session().region == "ap-south-1"
    with pytest.raises(CredentialsError, match="other"):
        open_aws_session("other")


@pytest.mark.usefixtures("_somebody")
def test_each_client_is_made_once_and_retries() -> None:
    session = open_aws_session(region="eu-west-1")
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda: made.append(session.client("batch"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in made}) == 1
    assert made[0].meta.config.retries == {"mode": "adaptive", "total_max_attempts": 6}
    patient = session.patient().client("batch").meta.config.retries
    assert patient == {"mode": "adaptive", "total_max_attempts": 13}


@pytest.mark.usefixtures("_somebody")
def test_what_the_store_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    options = open_aws_session(region="eu-west-1").store_options("s3://bucket/prefix")
    assert options["endpoint"] == "https://bucket.s3.eu-west-1.amazonaws.com"
    assert options["virtual_hosted_style_request"]
    given = options["credential_provider"]()
    assert (given["access_key_id"], given["secret_access_key"]) == ("AKIDEXAMPLE", "very secret")
    left = given["expires_at"] - datetime.now(timezone.utc)
    assert timedelta(minutes=1) < left < timedelta(minutes=15)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = open_aws_session(region="eu-west-1").store_options("s3://bucket/prefix")
    assert options["endpoint"] == "http://127.0.0.1:9"
    assert options["client_options"]["allow_http"]


@pytest.mark.usefixtures("_somebody")
def test_secrets_are_never_shown() -> None:
    assert "secret" not in repr(open_aws_session(region="eu-west-1"))


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    """Give a session in an account that is emulated in this process."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    with mock_aws():
        yield open_aws_session(region="eu-west-1")


def test_who_am_i(emulated: AwsSession) -> None:
    assert emulated.identity()["Account"] == "123456789012"


def test_a_client_that_translates(emulated: AwsSession) -> None:
    s3 = emulated.asking("s3")
    assert s3.list_buckets()["Buckets"] == []
    with pytest.raises(AwsError, match="AWS refused HeadBucket"):
        s3.head_bucket(Bucket="nowhere")
    with pytest.raises(AwsError, match="Parameter validation failed"):
        s3.head_object(Bucket="nowhere", Key=5)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refused("ExpiredToken"), CredentialsError, "have expired.*sign in again"),
        (refused("ExpiredTokenException"), CredentialsError, "have expired"),
        (refused("InvalidClientTokenId"), CredentialsError, "unknown to AWS"),
        (refused("UnrecognizedClientException"), CredentialsError, "unknown to AWS"),
        (refused("SignatureDoesNotMatch"), CredentialsError, "wrong secret key"),
        (refused("RequestTimeTooSkewed"), CredentialsError, "clock"),
        (
            refused(
                "AccessDeniedException",
                "User: arn:aws:iam::1:user/me is not authorized to perform: batch:SubmitJob on "
                "resource: arn:aws:batch:eu-west-1:1:job-queue/q",
            ),
            AccessError,
            r"lack permission for batch:SubmitJob:.*job-queue/q.*dask knot policy",
        ),
        (
            refused("403", "Forbidden", "HeadBucket"),
            AccessError,
            "lack permission for s3:ListBucket",
        ),
        (refused("UnauthorizedOperation", call="RunInstances"), AccessError, "RunInstances"),
        (refused("ThrottlingException"), UnreachableError, "throttled SubmitJob requests"),
        (refused("LimitExceededException", "5 roles"), QuotaError, "5 roles.*Service Quotas"),
        (refused("ServiceQuotaExceededException", "x"), QuotaError, "Service Quotas"),
        (refused("ClientException", "no queue q"), AwsError, "refused SubmitJob: no queue q"),
        (refused("Odd"), AwsError, "it gave no reason"),
        (refused("InternalFailure", status=500), UnreachableError, "couldn't answer SubmitJob"),
        (RuntimeError(EXPIRED), CredentialsError, "still expired; sign in"),
        (boto.NoCredentialsError(), CredentialsError, "no usable AWS credentials"),
        (boto.ProfileNotFound(profile="x"), CredentialsError, "profile"),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login"),
        (boto.TokenRetrievalError(provider="sso", error_msg="x"), CredentialsError, "sign in"),
        (boto.NoRegionError(), ConfigurationError, "AWS_REGION"),
        (
            boto.EndpointConnectionError(endpoint_url="https://x"),
            UnreachableError,
            "can't be reached",
        ),
        (
            boto.SSLError(endpoint_url="https://x", error="certificate verify failed"),
            UnreachableError,
            "verify failed.*set AWS_CA_BUNDLE",
        ),
        (boto.ProxyConnectionError(proxy_url="http://x"), UnreachableError, "HTTPS_PROXY"),
        (boto.MissingDependencyException(msg="crt"), CredentialsError, r"botocore\[crt\]"),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), UnreachableError, "can't be reached"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), UnreachableError, "can't be reached"),
        (boto.ParamValidationError(report="x"), AwsError, "can't be asked"),
        (
            ResponseParserError("b'<!doctype html>'"),
            UnreachableError,
            "html.*a proxy.*answered instead",
        ),
    ],
)
def test_what_is_refused_is_said(error: Exception, kind: type[KnotError], words: str) -> None:
    found = translate(error)
    assert type(found) is kind
    with pytest.raises(kind, match=words):
        raise found


@pytest.mark.parametrize("code", ["403", "503", "407"])
def test_a_page_of_a_proxy_is_not_taken_for_an_answer(code: str) -> None:
    page = "\n<!DOCTYPE html>\n<html><title>Blocked</title>" + "<p>by policy</p>" * 900
    found = translate(refused(code, page, status=int(code)))
    assert type(found) is UnreachableError
    assert "answer didn't come from AWS" in str(found)
    assert "Blocked" in str(found)
    assert len(str(found)) < 600
    assert "\n" not in str(found)


def test_the_profile_that_is_to_be_signed_in_is_named() -> None:
    for error in (refused("ExpiredToken"), boto.UnauthorizedSSOTokenError()):
        assert "`aws sso login --profile lab`" in str(translate(error, "lab"))
        assert "`aws sso login`" in str(translate(error, "default"))


def test_no_exception_of_botocore_is_left() -> None:
    kinds = [
        kind
        for kind in vars(boto).values()
        if inspect.isclass(kind) and issubclass(kind, boto.BotoCoreError)
    ]
    assert len(kinds) > 50
    for kind in kinds:
        bare = kind.__new__(kind)  # each has other parameters, which don't matter here
        Exception.__init__(bare, "text")
        assert isinstance(translate(bare), KnotError)


def test_ours_stay_as_they_are() -> None:
    ours = AccessError("no")
    assert translate(ours) is ours


def test_the_cause_is_kept() -> None:
    cause = refused("ExpiredToken")
    with pytest.raises(CredentialsError) as caught, translated():
        raise cause
    assert caught.value.__cause__ is cause


def test_the_action_is_named_by_the_message() -> None:
    assert action_of(refused("AccessDenied", "Access Denied", "PutObject")) == "s3:PutObject"
    assert action_of(refused("AccessDenied", "Access Denied", "ListObjectsV2")) == "s3:ListBucket"
    said = "is not authorized to perform: s3:ListBucket because no identity-based policy allows"
    assert action_of(refused("AccessDenied", said, "ListObjectsV2")) == "s3:ListBucket"
