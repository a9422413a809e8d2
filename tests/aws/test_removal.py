"""Deleting stacks: all that they made, nothing else, and what is left is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dask_knot.aws.options import StackOptions
from dask_knot.aws.removal import Removal, deregister, down, empty, find_data
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.errors import StackError
from tests.aws.account import account, sign_in, unheard
from tests.aws.formation import FakeFormation, FakeSession, Pages, Step


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


def buckets(session: AwsSession) -> list[str]:
    return [one["Name"] for one in session.client("s3").list_buckets()["Buckets"]]


def fill(session: AwsSession, bucket: str) -> None:
    for number in range(3):
        session.client("s3").put_object(Bucket=bucket, Key=f"knot/{number}", Body=b"x")


def test_all_that_was_made_is_gone(session: AwsSession) -> None:
    outputs = up(session, StackOptions(), unheard)
    session.client("s3").create_bucket(
        Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": session.region}
    )
    fill(session, outputs.bucket)
    assert find_data(session, "dask-knot") == (outputs.bucket,)
    assert down(session, "dask-knot", unheard) == Removal(was_there=True)
    assert buckets(session) == ["theirs"]
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []
    assert session.client("ecr").describe_repositories()["repositories"] == []
    assert session.client("logs").describe_log_groups()["logGroups"] == []
    roles = session.client("iam").list_roles()["Roles"]
    assert [one for one in roles if not one["Path"].startswith("/aws-service-role/")] == []


def test_data_can_be_kept(session: AwsSession) -> None:
    outputs = up(session, StackOptions(bucket="my-bucket"), unheard)
    fill(session, outputs.bucket)
    removed = down(session, "dask-knot", unheard, keep_data=True)
    assert removed == Removal(was_there=True, kept=("my-bucket",))
    assert session.client("s3").list_objects_v2(Bucket="my-bucket")["KeyCount"] == 3
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []


def test_a_bucket_that_was_there_already_is_left(session: AwsSession) -> None:
    session.client("s3").create_bucket(
        Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": session.region}
    )
    up(session, StackOptions(existing_bucket="theirs"), unheard)
    fill(session, "theirs")
    assert find_data(session, "dask-knot") == ()
    assert down(session, "dask-knot", unheard) == Removal(was_there=True)
    assert session.client("s3").list_objects_v2(Bucket="theirs")["KeyCount"] == 3


def test_no_stack_is_nothing_to_delete(session: AwsSession) -> None:
    assert find_data(session, "dask-knot") is None
    assert down(session, "dask-knot", unheard) == Removal(was_there=False)


def test_a_stack_of_somebody_else_is_not_deleted(session: AwsSession) -> None:
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloudformation = session.client("cloudformation")
    cloudformation.create_stack(StackName="dask-knot", TemplateBody=template)
    with pytest.raises(StackError, match="wasn't made by `dask knot up`"):
        down(session, "dask-knot", unheard)
    assert len(cloudformation.describe_stacks()["Stacks"]) == 1


def test_all_versions_are_deleted_even_many(session: AwsSession) -> None:
    s3 = session.client("s3")
    s3.create_bucket(
        Bucket="versions", CreateBucketConfiguration={"LocationConstraint": session.region}
    )
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        s3.put_object(Bucket="versions", Key=f"k{number % 2}", Body=b"x")
    s3.delete_object(Bucket="versions", Key="k0")
    assert empty(s3, "versions") == 6
    s3.delete_bucket(Bucket="versions")


def test_a_bucket_that_is_gone_already_is_empty(session: AwsSession) -> None:
    assert empty(session.client("s3"), "nowhere") == 0


def test_an_object_that_cannot_be_deleted_is_named() -> None:
    class Locked:
        class exceptions:
            NoSuchBucket = KeyError

        def get_paginator(self, call: str) -> Pages:
            return Pages([{"Versions": [{"Key": "k", "VersionId": "v"}]}])

        def delete_objects(self, **request: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "locked"}]}

    with pytest.raises(StackError, match=r"'k' in bucket 'b'.*AccessDenied: locked"):
        empty(Locked(), "b")


def test_job_definitions_are_found_by_name_and_tag(session: AwsSession) -> None:
    batch = session.client("batch")
    made = {
        "dask-knot-1": {"dask-knot": "dask-knot"},
        "dask-knot-2-1": {"dask-knot": "dask-knot-2"},
        "dask-knot-mine": {},
        "other": {"dask-knot": "dask-knot"},
    }
    for name, tags in made.items():
        batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            tags=tags,
            containerProperties={"image": "i", "vcpus": 1, "memory": 128, "command": []},
        )
    assert deregister(batch, "dask-knot") == 1
    left = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    assert sorted(one["jobDefinitionName"] for one in left) == sorted(set(made) - {"dask-knot-1"})


class FakeBatch:
    """A Batch without job definitions."""

    def get_paginator(self, call: str) -> Pages:
        return Pages([{"jobDefinitions": []}])


class FakeS3:
    """Notes how often it is emptied, and under which prefixes."""

    class exceptions:
        NoSuchBucket = KeyError

    def __init__(self) -> None:
        self.prefixes: list[str] = []

    @property
    def emptied(self) -> int:
        return self.prefixes.count("")

    def get_paginator(self, call: str) -> FakeS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        self.prefixes.append(Prefix)
        return [{}]


def delete(formation: FakeFormation, s3: FakeS3, keep_data: bool = False) -> Removal:
    session = FakeSession(cloudformation=formation, s3=s3, batch=FakeBatch())
    return down(session, "dask-knot", unheard, keep_data, pause=lambda _: None)  # type: ignore[arg-type]


BUCKET = ("Bucket", "bucket-1", "CREATE_COMPLETE")
FULL = Step(("DELETE_IN_PROGRESS", "DELETE_FAILED"), (("Bucket", "it is not empty"),))
DONE = Step(("DELETE_IN_PROGRESS", "DELETE_COMPLETE"))


def test_a_bucket_that_was_written_meanwhile_is_emptied_again() -> None:
    s3 = FakeS3()
    formation = FakeFormation("CREATE_COMPLETE", [BUCKET], delete_stack=[FULL, DONE])
    assert delete(formation, s3).was_there
    assert s3.emptied == 2


def test_it_gives_up_and_says_what_is_left() -> None:
    formation = FakeFormation("CREATE_COMPLETE", [BUCKET], delete_stack=[FULL, FULL, FULL])
    with pytest.raises(StackError) as caught:
        delete(formation, FakeS3())
    assert "What is left: Bucket (bucket-1)" in str(caught.value)
    assert "DELETE_FAILED: it is not empty" in str(caught.value)


def test_another_failure_is_not_tried_again() -> None:
    failing = Step(("DELETE_FAILED",), (("Vpc", "has dependencies and cannot be deleted"),))
    resources = [BUCKET, ("Vpc", "vpc-1", "DELETE_FAILED"), ("Queue", "q", "DELETE_COMPLETE")]
    formation = FakeFormation("CREATE_COMPLETE", resources, delete_stack=[failing])
    with pytest.raises(StackError, match=r"What is left: Bucket \(bucket-1\), Vpc \(vpc-1\)"):
        delete(formation, FakeS3())
    assert formation.names == ["delete_stack"]


def test_to_keep_data_the_bucket_is_retained_before_anything_is_deleted() -> None:
    s3 = FakeS3()
    formation = FakeFormation(
        "CREATE_COMPLETE",
        [BUCKET],
        update_stack=[Step(("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"))],
        delete_stack=[DONE],
    )
    assert delete(formation, s3, keep_data=True).kept == ("bucket-1",)
    assert formation.names == ["update_stack", "delete_stack"]
    body = formation.calls[0][1]["TemplateBody"]
    assert " " not in body.replace("with its data, by dask knot down", "")  # blanks count as bytes
    changed = json.loads(body)["Resources"]["Bucket"]
    assert changed["DeletionPolicy"] == "Retain"
    assert s3.emptied == 0
    assert s3.prefixes == ["knot/_builds/"]  # what builds have left is no data


def test_a_bucket_that_cannot_be_retained_stops_everything() -> None:
    failing = Step(("UPDATE_ROLLBACK_COMPLETE",), (("Bucket", "no"),))
    formation = FakeFormation("CREATE_COMPLETE", [BUCKET], update_stack=[failing])
    with pytest.raises(
        StackError, match="nothing was deleted, because the bucket couldn't be kept"
    ):
        delete(formation, FakeS3(), keep_data=True)
    assert formation.names == ["update_stack"]
