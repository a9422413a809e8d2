"""The emulated AWS behaves as AWS does, in what the tests of others rely on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.rig import machine
from tests.rig.machine import REGION, Rig
from tests.rig.queues import IMAGE, Batch
from tests.rig.server import images


@pytest.fixture(scope="module")
def batch(rig: Rig) -> Iterator[Batch]:
    """Make a queue."""
    made = Batch(rig)
    yield made
    for client in (made.client, made.logs):
        client.close()


def test_a_job_prints_and_ends(batch: Batch) -> None:
    found = batch.wait(batch.submit("print('hello')"))
    assert found["status"] == "SUCCEEDED"
    assert found["container"]["exitCode"] == 0
    assert batch.log(found) == ["hello"]


def test_children_of_an_array_know_their_index(batch: Batch) -> None:
    program = (
        "import os\nindex = os.environ['AWS_BATCH_JOB_ARRAY_INDEX']\nprint(index)\n"
        "raise SystemExit(index == '1')"
    )
    job = batch.submit(program, arrayProperties={"size": 3})
    later = batch.submit("", dependsOn=[{"jobId": job}])
    assert batch.wait(job)["status"] == "FAILED"
    children = [batch.describe(f"{job}:{number}") for number in range(3)]
    assert [child["status"] for child in children] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert [batch.log(child) for child in children] == [["0"], ["1"], ["2"]]
    assert "Dependent" in batch.wait(later)["statusReason"]


def test_too_much_memory_is_named(batch: Batch) -> None:
    found = batch.wait(batch.submit("x = b'1' * 2**29", memory=64))
    assert found["container"]["exitCode"] == 137
    assert found["container"]["reason"].startswith("OutOfMemoryError")


def test_a_missing_image_is_named(batch: Batch) -> None:
    found = batch.wait(batch.submit("", image=f"{machine.REGISTRY_NAME}/none:1"))
    assert found["status"] == "FAILED"
    assert "CannotPullContainerError" in found["container"]["reason"]


def test_a_job_that_takes_too_long_is_ended(batch: Batch) -> None:
    program = "import time; time.sleep(600)"
    found = batch.wait(batch.submit(program, timeout={"attemptDurationSeconds": 1}))
    assert found["statusReason"] == "Job attempt duration exceeded timeout"


def test_a_job_whose_machine_is_lost_is_tried_again(batch: Batch, rig: Rig) -> None:
    program = "import os, time; time.sleep(600 * (os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1'))"
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    job = batch.submit(program, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    batch.wait(job, lambda found: bool(found["status"] == "RUNNING"))
    rig.reclaim(job)
    found = batch.wait(job)
    assert found["status"] == "SUCCEEDED"
    assert found["attempts"][0]["statusReason"].startswith("Host EC2")


def test_an_exit_of_the_user_is_not_tried_again(batch: Batch) -> None:
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    found = batch.wait(batch.submit("raise SystemExit(3)", retryStrategy=strategy))
    assert found["container"]["exitCode"] == 3
    assert len(found["attempts"]) == 1


def test_a_job_can_be_terminated(batch: Batch) -> None:
    job = batch.submit("import time; time.sleep(600)", arrayProperties={"size": 2})
    batch.wait(f"{job}:0", lambda found: bool(found["status"] == "RUNNING"))
    batch.client.terminate_job(jobId=job, reason="enough")
    assert batch.wait(job)["status"] == "FAILED"
    assert batch.describe(f"{job}:0")["statusReason"] == "enough"


def test_a_job_has_the_credentials_of_its_role(batch: Batch) -> None:
    program = (
        "import json, os, urllib.request as u\n"
        "token = open(os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']).read()\n"
        "url = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']\n"
        "answer = u.urlopen(u.Request(url, headers={'Authorization': token}))\n"
        "print(json.load(answer)['RoleArn'])"
    )
    role = batch.role("job")
    found = batch.wait(batch.submit(program, role=role))
    assert batch.log(found) == [role]


@pytest.mark.parametrize(
    "request_",
    [
        {"arrayProperties": {"size": 1}},
        {"dependsOn": [{"jobId": "none"}] * 21},
        {"dependsOn": [{"jobId": "none"}]},
        {"dependsOn": [{"type": "SEQUENTIAL"}]},
        {"retryStrategy": {"attempts": 11}},
        {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}},
        {"timeout": {"attemptDurationSeconds": 0}},
        {"memory": 0},
    ],
    ids=str,
)
def test_limits_are_those_of_aws(batch: Batch, request_: Any) -> None:
    with pytest.raises(batch.client.exceptions.ClientException):
        batch.submit("", **request_)


def test_a_hundred_jobs_are_described_at_once(batch: Batch) -> None:
    assert batch.client.describe_jobs(jobs=["none"] * 100)["jobs"] == []
    with pytest.raises(batch.client.exceptions.ClientException, match="100"):
        batch.client.describe_jobs(jobs=["none"] * 101)


def test_ecr_knows_what_was_pushed(rig: Rig) -> None:
    ecr = rig.client("ecr")
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    login = images.AS_CONFIG
    with closing(rig.docker()) as docker:
        for tag in ("one", "two"):
            docker.images.get(IMAGE).tag(uri, tag)
        docker.api.push(uri, "one", auth_config=login)
        refused = login | {"password": "wrong"}
        answers = docker.api.push(uri, "two", auth_config=refused, stream=True, decode=True)
        assert any("error" in answer for answer in answers)
    (image,) = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert image["imageTags"] == ["one"]
    assert image["imageSizeInBytes"] > 0
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "one"}])
    assert ecr.describe_images(repositoryName=name)["imageDetails"] == []
    ecr.delete_repository(repositoryName=name, force=True)
    ecr.close()


def test_permissions_are_checked_on_demand(rig: Rig) -> None:
    iam = rig.client("iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    document = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
        '"Action": "batch:DescribeJobs", "Resource": "*"}]}'
    )
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    import boto3

    client = boto3.client(
        "batch",
        endpoint_url=rig.endpoint,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    rig.enforce_permissions()
    try:
        client.describe_jobs(jobs=["none"])
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.list_jobs(jobQueue="any")
    finally:
        rig.enforce_permissions(False)
    client.close()
    iam.close()
