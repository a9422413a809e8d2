"""The doctor and the status: what is wrong is said with its cure, and hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.parsers import ResponseParserError

from dask_knot.aws.doctor import CHECKS, Finding, Verdict, examine, open_and_examine
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import parse_outputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from dask_knot.aws.status import measure, read_status
from dask_knot.run.versions import HERE
from tests.aws.account import account, sign_in, unheard
from tests.aws.formation import FakeSession, Pages, described, refusal

OUTPUTS = parse_outputs(described())
WELL = {"state": "ENABLED", "status": "VALID"}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


def by_name(session: AwsSession) -> dict[str, Finding]:
    return {one.what: one for one in examine(session, "dask-knot")}


def test_a_new_stack_lacks_an_image_only(session: AwsSession) -> None:
    up(session, StackOptions(), unheard)
    found = by_name(session)
    assert list(found) == ["credentials", "region", "stack", *CHECKS, "network"]
    bad = {what for what, one in found.items() if one.verdict is Verdict.BAD}
    assert "image" in bad
    assert bad <= {"image", "quota"}  # moto knows few quotas
    assert "dask knot image" in found["image"].cure
    assert "at most 256 vCPUs" in found["compute environment"].text
    assert (
        session.client("s3").list_objects_v2(Bucket=found["bucket"].text.split("/")[2])["KeyCount"]
        == 0
    )


def test_without_a_stack_the_rest_is_left_out(session: AwsSession) -> None:
    found = by_name(session)
    assert list(found) == ["credentials", "region", "stack"]
    assert found["stack"].verdict is Verdict.BAD
    assert "dask knot up" in found["stack"].cure


def test_credentials_that_are_wrong_end_it() -> None:
    class Expired(FakeSession):
        def identity(self) -> dict[str, str]:
            raise refusal("expired", "ExpiredToken", "GetCallerIdentity")

    (found,) = examine(Expired(), "dask-knot")  # type: ignore[arg-type]
    assert found.verdict is Verdict.BAD
    assert "expired" in found.text


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({"AWS_REGION": ""}, {"region": "set AWS_REGION"}),
        ({"AWS_REGION": "Eu_west"}, {"region": "set AWS_REGION"}),
        ({"AWS_SECRET_ACCESS_KEY": ""}, {"credentials": "sign in again"}),
        ({"AWS_ACCESS_KEY_ID": ""}, {"credentials": "run `aws configure`"}),
        ({"AWS_PROFILE": "nobody"}, {"credentials": "another AWS_PROFILE"}),
        ({"AWS_ENDPOINT_URL": "nonsense"}, {"credentials": "Set AWS_ENDPOINT_URL"}),
        (
            {"AWS_REGION": "", "AWS_ACCESS_KEY_ID": ""},
            {"region": "set AWS_REGION", "credentials": "run `aws configure`"},
        ),
    ],
    ids=["region", "no region", "half a key", "no key", "profile", "endpoint", "nothing"],
)
def test_what_is_missing_at_first_is_a_line_with_its_cure(
    environment: dict[str, str], lines: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        # boto3 takes an empty variable for a value.
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    if not environment.get("AWS_ACCESS_KEY_ID", "is there"):
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = list(open_and_examine(open_aws_session, "dask-knot"))
    assert {one.what for one in found} == set(lines)
    for one in found:
        assert one.verdict is Verdict.BAD
        assert one.text
        assert one.text[-1] not in ".:;"
        assert lines[one.what] in one.cure


def test_each_is_one_line_whatever_answered() -> None:
    class Proxied(FakeSession):
        def identity(self) -> dict[str, str]:
            raise ResponseParserError("invalid XML received:\nb'<!doctype html>'")

    (found,) = examine(Proxied(), "dask-knot")  # type: ignore[arg-type]
    assert "\n" not in found.text + found.cure
    assert found.cure.startswith("Check the network: a proxy")


def test_with_a_session_all_the_rest_is_looked_at(session: AwsSession) -> None:
    assert [one.what for one in open_and_examine(lambda: session, "dask-knot")] == [
        one.what for one in examine(session, "dask-knot")
    ]


class FakeBatch:
    """Says of the queue and the compute environment what a test has it say."""

    def __init__(self, queue: Any = None, environment: Any = None) -> None:
        self.queue, self.environment = queue, environment

    def describe_job_queues(self, *, jobQueues: list[str]) -> dict[str, Any]:
        return {"jobQueues": [self.queue] if self.queue else []}

    def describe_compute_environments(self, **_: Any) -> dict[str, Any]:
        return {"computeEnvironments": [self.environment] if self.environment else []}

    def get_paginator(self, call: str) -> Pages:
        return Pages([{"jobSummaryList": []}])


class FakeQuotas:
    """Has one quota, or refuses to say."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def get_service_quota(self, **_: str) -> dict[str, Any]:
        if self.value is None:
            raise refusal("not authorized", "AccessDeniedException", "GetServiceQuota")
        return {"Quota": {"Value": self.value, "QuotaName": "Running instances"}}


def check(what: str, **clients: Any) -> Finding:
    from dask_knot.aws.doctor import _guarded

    session: Any = FakeSession(**clients)
    return _guarded(what, lambda: CHECKS[what](session, OUTPUTS))


@pytest.mark.parametrize(
    ("queue", "verdict", "words"),
    [
        (WELL, Verdict.GOOD, "dask-knot-ec2 ENABLED VALID"),
        ({"state": "DISABLED", "status": "VALID"}, Verdict.BAD, "DISABLED"),
        (
            {"state": "ENABLED", "status": "INVALID", "statusReason": "no CE"},
            Verdict.BAD,
            "INVALID (no CE)",
        ),
        (None, Verdict.BAD, "gone"),
    ],
)
def test_the_queue(queue: Any, verdict: Verdict, words: str) -> None:
    found = check("queue", batch=FakeBatch(queue))
    assert found.verdict is verdict
    assert words in found.text
    assert bool(found.cure) == (verdict is Verdict.BAD)


@pytest.mark.parametrize(
    ("environment", "verdict"),
    [
        ({**WELL, "computeResources": {"maxvCpus": 8}}, Verdict.GOOD),
        ({"state": "ENABLED", "status": "INVALID", "statusReason": "CLIENT_ERROR"}, Verdict.BAD),
        (None, Verdict.BAD),
    ],
)
def test_the_compute_environment(environment: Any, verdict: Verdict) -> None:
    found = check("compute environment", batch=FakeBatch(environment=environment))
    assert found.verdict is verdict


class TwoEnvironments:
    """Has what stands behind Spot, in the state that a test says."""

    def __init__(self, status: str) -> None:
        self.found = {
            OUTPUTS.compute_environment: {**WELL, "computeResources": {"maxvCpus": 256}},
            "behind": {"state": "ENABLED", "status": status, "computeResources": {"maxvCpus": 64}},
        }

    def describe_job_queues(self, *, jobQueues: list[str]) -> dict[str, Any]:
        order = [
            {"order": number, "computeEnvironment": arn} for number, arn in enumerate(self.found)
        ]
        return {"jobQueues": [{**WELL, "computeEnvironmentOrder": order}]}

    def describe_compute_environments(self, *, computeEnvironments: list[str]) -> dict[str, Any]:
        return {
            "computeEnvironments": [
                {**self.found[arn], "computeEnvironmentArn": arn} for arn in computeEnvironments
            ]
        }


@pytest.mark.parametrize(("status", "verdict"), [("VALID", Verdict.GOOD), ("INVALID", Verdict.BAD)])
def test_what_stands_behind_spot_is_looked_at_too(status: str, verdict: Verdict) -> None:
    found = check("compute environment", batch=TwoEnvironments(status))
    assert found.verdict is verdict
    assert f"behind it on demand, at most 64 vCPUs: ENABLED {status}" in found.text


@pytest.mark.parametrize(
    ("quota", "most", "verdict", "cure"),
    [
        (512, 256, Verdict.GOOD, ""),
        (32, 256, Verdict.UNSURE, "--max-vcpus 32"),
        (0, 256, Verdict.BAD, "Service Quotas"),
        (None, 256, Verdict.UNSURE, ""),
    ],
)
def test_the_quota(quota: float | None, most: int, verdict: Verdict, cure: str) -> None:
    batch = FakeBatch(environment={**WELL, "computeResources": {"maxvCpus": most}})
    found = check("quota", batch=batch, **{"service-quotas": FakeQuotas(quota)})
    assert found.verdict is verdict
    assert cure in found.cure


def test_a_bucket_that_may_not_be_written() -> None:
    class Closed:
        def put_object(self, **_: Any) -> None:
            raise refusal("not authorized to perform: s3:PutObject", "AccessDenied", "PutObject")

    found = check("bucket", s3=Closed())
    assert found.verdict is Verdict.BAD
    assert "s3:PutObject" in found.text


class FakeEcr:
    """Has two images; the newest one has labels, if it is told any."""

    def __init__(self, labels: dict[str, str] | None) -> None:
        self.labels = labels

    def get_paginator(self, call: str) -> Pages:
        old = {"imageTags": ["old"], "imageDigest": "1", "imagePushedAt": datetime(2026, 1, 1)}
        new = {"imageTags": ["new"], "imageDigest": "2", "imagePushedAt": datetime(2026, 2, 1)}
        return Pages([{"imageDetails": [new]}, {"imageDetails": [old]}])

    def batch_get_image(self, *, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        assert imageIds == [{"imageDigest": "2"}]
        manifest = {"manifests": []} if self.labels is None else {"config": {"digest": "3"}}
        return {"images": [{"imageManifest": json.dumps(manifest)}]}

    def get_download_url_for_layer(self, *, layerDigest: str, **_: Any) -> dict[str, str]:
        assert layerDigest == "3"
        return {"downloadUrl": f"data:,{quote(json.dumps({'config': {'Labels': self.labels}}))}"}


LABELS = {f"dask-knot.{name}": version for name, version in HERE.items() if version}


@pytest.mark.parametrize(
    ("labels", "verdict", "words"),
    [
        (LABELS, Verdict.GOOD, "with the same versions as here"),
        ({**LABELS, "dask-knot.dask": "2020.1"}, Verdict.UNSURE, "has dask 2020.1 (here "),
        ({"maintainer": "ada"}, Verdict.UNSURE, "doesn't record its versions"),
        (None, Verdict.UNSURE, "doesn't record its versions"),
    ],
    ids=["same", "other", "none", "index"],
)
def test_the_newest_image_and_its_versions(
    labels: dict[str, str] | None, verdict: Verdict, words: str
) -> None:
    found = check("image", ecr=FakeEcr(labels))
    assert found.verdict is verdict
    assert found.text.startswith("new, ")
    assert words in found.text


class BuildQuotas:
    """The quota of builds, or a refusal."""

    def __init__(self, quota: float | None) -> None:
        self._quota = quota

    def get_service_quota(self, **request: str) -> dict[str, Any]:
        assert request == {"ServiceCode": "codebuild", "QuotaCode": "L-9D07B6EF"}
        if self._quota is None:
            raise refusal("no", "AccessDeniedException", "GetServiceQuota")
        return {"Quota": {"Value": self._quota}}


@pytest.mark.parametrize(
    ("quota", "verdict", "words"),
    [
        (60.0, Verdict.GOOD, "60 at once"),
        (0.0, Verdict.UNSURE, "isn't allowed any builds"),
        (None, Verdict.GOOD, "builds images without Docker here"),
    ],
    ids=["some", "none", "not told"],
)
def test_remote_builds(quota: float | None, verdict: Verdict, words: str) -> None:
    outputs = replace(OUTPUTS, builder="dask-knot-builder")
    clients: Any = FakeSession(**{"service-quotas": BuildQuotas(quota)})
    found = CHECKS["remote builds"](clients, outputs)
    assert found.verdict is verdict
    assert words in found.text


def test_a_stack_may_have_no_remote_builds() -> None:
    nothing: Any = FakeSession()
    found = CHECKS["remote builds"](nothing, OUTPUTS)
    assert found.verdict is Verdict.GOOD
    assert "--remote-build" in found.cure


def test_the_status_of_a_stack_that_works(session: AwsSession) -> None:
    outputs = up(session, StackOptions(), unheard)
    for number in range(3):
        session.client("s3").put_object(Bucket=outputs.bucket, Key=f"knot/{number}", Body=b"1234")
    session.client("s3").put_object(Bucket=outputs.bucket, Key="other", Body=b"1234")
    found = read_status(session, outputs)
    assert found.queue.startswith("ENABLED VALID")
    assert (found.jobs, found.image) == ({}, None)
    assert (found.size.objects, found.size.bytes, found.size.is_all) == (3, 12, True)


def test_the_status_has_what_stands_behind_spot(session: AwsSession) -> None:
    outputs = up(session, StackOptions(platform="spot", on_demand_vcpus=8), unheard)
    first, behind = read_status(session, outputs).compute_environments
    assert first.startswith("ENABLED VALID")
    assert behind.startswith("ENABLED VALID")


def test_a_large_store_is_not_counted_to_its_end() -> None:
    class S3:
        def get_paginator(self, call: str) -> Pages:
            return Pages([{"Contents": [{"Size": 1}]}] * 500)

    size = measure(S3(), OUTPUTS)
    assert (size.objects, size.is_all) == (200, False)
