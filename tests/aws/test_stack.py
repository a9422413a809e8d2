"""Making and changing stacks: idempotent, and nothing that is left blocks the next try."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import StackOutputs, parse_outputs, read_outputs
from dask_knot.aws.progress import NOTED, PAUSE, SILENCE, StackEvent, reasons
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import owner_of, up
from dask_knot.errors import AccessError, ConfigurationError, StackError
from tests.aws.account import account, make_queue, sign_in, unheard
from tests.aws.formation import ID, FakeFormation, FakeSession, Step, described, refusal

#: Needs no other service than CloudFormation, and a queue.
LEAN = StackOptions(existing_queue="theirs", owner="ada")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


def run(formation: FakeFormation, options: StackOptions = LEAN) -> tuple[StackOutputs, list[str]]:
    """Run `up` and give the outputs, and the statuses that were reported."""
    heard: list[str] = []

    def report(event: StackEvent) -> None:
        heard.append(f"{event.resource} {event.status}")

    outputs = up(FakeSession(cloudformation=formation), options, report, lambda _: None)  # type: ignore[arg-type]
    return outputs, heard


CREATED = Step(("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"))
UPDATED = Step(("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"))
DELETED = Step(("DELETE_IN_PROGRESS", "DELETE_COMPLETE"))
UNCHANGED = refusal("No updates are to be performed.")


@pytest.mark.parametrize(
    "options",
    [
        StackOptions(),
        StackOptions(platform="spot", vpc="new", instance_types=("c6i", "m5.large")),
        StackOptions(platform="spot", allocation_strategy="BEST_FIT"),
        StackOptions(platform="fargate", name="other", bucket="my-bucket", prefix="a/b"),
        StackOptions(gpu=True, architecture="arm64"),
        LEAN,
    ],
    ids=["default", "spot", "best-fit", "fargate", "gpu", "lean"],
)
def test_a_stack_is_made_and_found_again(session: AwsSession, options: StackOptions) -> None:
    if options.existing_queue is not None:
        make_queue(session, options.existing_queue)
    outputs = up(session, options, unheard)
    assert read_outputs(session, options.name) == outputs
    assert (outputs.platform, outputs.architecture) == (options.platform, options.architecture)
    assert outputs.store_url == f"s3://{outputs.bucket}/{options.prefix}"
    assert (outputs.account, outputs.region) == ("123456789012", session.region)
    session.client("s3").head_bucket(Bucket=outputs.bucket)
    assert outputs.repository.endswith(f"/{options.name}")


def test_a_second_time_changes_nothing(session: AwsSession) -> None:
    first = up(session, StackOptions(), unheard)
    second = up(session, StackOptions(), unheard)
    assert replace(second, status=first.status) == first
    assert len(session.client("s3").list_buckets()["Buckets"]) == 1


class Named:
    """Credentials of a session with a name that somebody chose, or a directory."""

    def __init__(self, name: str) -> None:
        self._arn = f"arn:aws:sts::123456789012:assumed-role/Team/{name}"

    def identity(self) -> dict[str, str]:
        return {"Arn": self._arn}


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("bob@example.com", "bob@example.com"),
        ("bob@example.com, Bob", "bob@example.com Bob"),
        ("Bob,Alice", "Bob Alice"),
        ("AROAEXAMPLE:bob", "bob"),
        ("aws:bob", "bob"),
        (",", ""),
        ("b" * 300, "b" * 256),
    ],
)
def test_a_session_of_any_name_makes_a_tag_that_aws_takes(name: str, owner: str) -> None:
    found = owner_of(Named(name), None)  # type: ignore[arg-type]
    assert found == owner
    assert StackOptions(owner=owner).all_tags.get("owner", "") == owner


def test_an_owner_of_the_users_own_words_is_the_only_one() -> None:
    assert StackOptions(owner="moto", tags={"Owner": "ada"}).all_tags == {
        "Owner": "ada",
        "dask-knot": "dask-knot",
    }


def test_the_owner_is_who_makes_it(session: AwsSession) -> None:
    tags = up(session, StackOptions(tags={"project": "x"}), unheard).tags
    assert tags == {"owner": "moto", "project": "x", "dask-knot": "dask-knot"}


def test_service_linked_roles_are_made_once(session: AwsSession) -> None:
    def made() -> list[str]:
        iam = session.client("iam")
        return [one["Path"] for one in iam.list_roles(PathPrefix="/aws-service-role/")["Roles"]]

    up(session, StackOptions(platform="spot"), unheard)
    first = sorted(made())
    assert [path.split("/")[2].split(".")[0] for path in first] == ["batch", "ecs", "spot"]
    up(session, StackOptions(platform="spot"), unheard)
    assert sorted(made()) == first


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (("c99.large",), "no instance type 'c99.large' in eu-west-1"),
        (("z9",), "no instance type 'z9'"),
        (("c6g.large",), "'c6g.large' are not amd64"),
    ],
)
def test_an_instance_type_that_jobs_cannot_have_is_said_before_anything_is_made(
    session: AwsSession, types: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        up(session, StackOptions(instance_types=types), unheard)
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []


def test_an_account_without_a_default_vpc_is_told_what_to_do(session: AwsSession) -> None:
    ec2 = session.client("ec2")
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    with pytest.raises(StackError, match=r"has no subnets.*--vpc new"):
        up(session, StackOptions(), unheard)
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    with pytest.raises(StackError, match=r"no default VPC in eu-west-1.*--vpc new"):
        up(session, StackOptions(), unheard)


def test_a_new_stack_is_followed_to_its_end() -> None:
    formation = FakeFormation(create_stack=[CREATED])
    outputs, heard = run(formation)
    assert outputs.status == "CREATE_COMPLETE"
    assert heard == ["dask-knot CREATE_COMPLETE"]
    (_, request) = formation.calls[0]
    assert request["OnFailure"] == "DELETE"
    assert {"Key": "dask-knot", "Value": "dask-knot"} in request["Tags"]
    assert "Bucket" in json.loads(request["TemplateBody"])["Resources"]


@pytest.mark.parametrize(
    ("resource", "kind", "words"),
    [
        ("ComputeEnvironment", "AWS::Batch::ComputeEnvironment", "waits for its instances"),
        ("SecurityGroup", "AWS::EC2::SecurityGroup", "waits for the network interfaces"),
        ("Queue", "AWS::Batch::JobQueue", "its jobs to finish"),
        ("LogGroup", "AWS::Logs::LogGroup", "CloudFormation is waiting for LogGroup"),
    ],
)
def test_what_a_stack_waits_for_is_said_every_ten_minutes(
    resource: str, kind: str, words: str
) -> None:
    looks = 2 * int(SILENCE / PAUSE) + 10
    step = Step(("CREATE_IN_PROGRESS",) * looks + ("CREATE_COMPLETE",))
    formation, said = FakeFormation(create_stack=[step]), list[str]()
    formation.event(resource, "CREATE_IN_PROGRESS")
    formation.events[-1]["ResourceType"] = kind

    def report(event: StackEvent) -> None:
        said.extend([event.kind] if event.status == NOTED else [])

    session = FakeSession(cloudformation=formation)
    up(session, LEAN, report, lambda _: None)  # type: ignore[arg-type]
    assert len(said) == 2
    assert words in said[0]
    assert f"{resource} (CREATE_IN_PROGRESS)" in said[0]


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        (
            "resource sg-1 has a dependent object (Service: Ec2, Code: DependencyViolation)",
            "disappear",
        ),
        ("Cannot delete, found existing JobQueue relationship", "the other queue"),
    ],
)
def test_what_keeps_a_resource_has_its_cure(reason: str, cure: str) -> None:
    event = StackEvent("1", "SecurityGroup", "AWS::EC2::SecurityGroup", "DELETE_FAILED", reason)
    _, line = reasons([event])
    assert cure in line


def test_a_stack_that_is_there_is_updated_and_old_events_are_not_reported() -> None:
    formation = FakeFormation("CREATE_COMPLETE", update_stack=[UPDATED])
    formation.event("Bucket", "CREATE_COMPLETE")
    outputs, heard = run(formation)
    assert (outputs.status, heard) == ("UPDATE_COMPLETE", ["dask-knot UPDATE_COMPLETE"])


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
)
def test_nothing_to_change_is_no_error(status: str) -> None:
    formation = FakeFormation(status, update_stack=[UNCHANGED])
    assert run(formation)[0].status == status


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_what_a_failed_creation_left_is_cleared_away(status: str) -> None:
    formation = FakeFormation(status, delete_stack=[DELETED], create_stack=[CREATED])
    assert run(formation)[0].status == "CREATE_COMPLETE"
    assert formation.names == ["delete_stack", "create_stack"]


def test_an_interrupted_up_is_followed_and_then_updated() -> None:
    formation = FakeFormation("CREATE_IN_PROGRESS", update_stack=[UNCHANGED])
    formation.statuses += ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert run(formation)[0].status == "CREATE_COMPLETE"


def test_an_interrupted_down_is_followed_and_then_made_anew() -> None:
    formation = FakeFormation("DELETE_IN_PROGRESS", create_stack=[CREATED])
    formation.statuses += ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert run(formation)[0].status == "CREATE_COMPLETE"


def test_an_update_that_could_not_be_rolled_back_is_rolled_back_first() -> None:
    formation = FakeFormation(
        "UPDATE_ROLLBACK_FAILED",
        continue_update_rollback=[Step(("UPDATE_ROLLBACK_COMPLETE",))],
        update_stack=[UPDATED],
    )
    assert run(formation)[0].status == "UPDATE_COMPLETE"
    assert formation.names == ["continue_update_rollback", "update_stack"]


def test_a_deletion_that_failed_is_left_to_down() -> None:
    formation = FakeFormation("DELETE_FAILED")
    with pytest.raises(StackError, match=r"DELETE_FAILED: run `dask knot down --name dask-knot`"):
        run(formation)
    assert formation.names == []


FAILURES = (
    ("Bucket", "my-bucket already exists"),
    ("JobRole", "Resource creation cancelled"),
    ("Queue", "User is not authorized to perform: batch:CreateJobQueue"),
)


def test_a_creation_that_fails_gives_the_reasons_and_what_to_do() -> None:
    failing = Step(("CREATE_IN_PROGRESS", "DELETE_COMPLETE"), FAILURES)
    with pytest.raises(StackError) as caught:
        run(FakeFormation(create_stack=[failing]))
    message = str(caught.value)
    assert "couldn't be made; nothing of it is left" in message
    assert "Bucket (AWS::Some::Thing): CREATE_FAILED: my-bucket already exists" in message
    assert "--existing-bucket" in message
    assert "batch:CreateJobQueue" in message
    assert "dask knot policy --operator" in message
    assert "cancelled" not in message


def test_an_update_that_fails_leaves_the_stack_as_it_was() -> None:
    failing = Step(("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"), FAILURES[:1])
    with pytest.raises(StackError, match=r"couldn't be changed.*is as it was before") as caught:
        run(FakeFormation("CREATE_COMPLETE", update_stack=[failing]))
    assert "UPDATE_FAILED: my-bucket already exists" in str(caught.value)


def test_a_failed_update_after_a_failed_update_is_a_failure() -> None:
    failing = Step(("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"), FAILURES[:1])
    with pytest.raises(StackError, match="couldn't be changed"):
        run(FakeFormation("UPDATE_ROLLBACK_COMPLETE", update_stack=[failing]))


def test_what_cloudformation_refuses_at_once_is_said() -> None:
    formation = FakeFormation(create_stack=[refusal("Template format error")])
    with pytest.raises(StackError, match="Template format error"):
        run(formation)
    denied = refusal("not authorized to perform: cloudformation:CreateStack", "AccessDenied")
    with pytest.raises(AccessError, match="cloudformation:CreateStack"):
        run(FakeFormation(create_stack=[denied]))


def test_a_stack_of_somebody_else_is_not_touched(session: AwsSession) -> None:
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    session.client("cloudformation").create_stack(StackName="dask-knot", TemplateBody=template)
    with pytest.raises(StackError, match="wasn't made by `dask knot up`"):
        up(session, StackOptions(), unheard)
    with pytest.raises(StackError, match="wasn't made by `dask knot up`"):
        read_outputs(session, "dask-knot")


def test_a_region_without_the_stack_is_named(session: AwsSession) -> None:
    with pytest.raises(StackError, match=r"no stack 'dask-knot' in eu-west-1.*dask knot up"):
        read_outputs(session, "dask-knot")


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
def test_a_stack_that_cannot_be_used_says_how_it_is(status: str) -> None:
    with pytest.raises(StackError, match=f"can't be used while it is {status}"):
        parse_outputs(described(status))


def test_a_stack_of_another_version_says_what_is_missing() -> None:
    with pytest.raises(StackError, match="lacks the output ExecutionRole"):
        parse_outputs(described(ExecutionRole=None))


def test_outputs_say_where_the_stack_is() -> None:
    outputs = parse_outputs(described(Platform="fargate-spot", KmsKey="arn:key"))
    assert (outputs.partition, outputs.region, outputs.account) == (
        "aws",
        "eu-west-1",
        "123456789012",
    )
    assert outputs.id == ID
    assert outputs.is_fargate
    assert outputs.kms_key == "arn:key"
    assert outputs.tags == {"dask-knot": "dask-knot", "owner": "ada"}
