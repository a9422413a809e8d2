"""The engine "aws" against an emulated account: what jobs are, where values and logs are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from dask_knot.aws.container import check_early
from dask_knot.aws.engine import AwsEngine, market
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.batch.request import job_definition
from dask_knot.batch.service import JobService
from dask_knot.errors import AwsError, ConfigurationError, EngineError
from dask_knot.local.schema import check_parameters
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.prices.tariff import Market
from dask_knot.run.names import StageId
from dask_knot.settings.settings import resolve

SECRET = "arn:aws:ssm:eu-west-1:123456789012:parameter/token"

REGION = "eu-west-1"
OUTPUTS = StackOutputs(
    name="lab",
    id=f"arn:aws:cloudformation:{REGION}:123456789012:stack/lab/1",
    status="CREATE_COMPLETE",
    bucket="lab-bucket",
    prefix="knot",
    repository=f"123456789012.dkr.ecr.{REGION}.amazonaws.com/lab",
    queue="lab-queue",
    job_role="arn:aws:iam::123456789012:role/lab-job",
    execution_role="arn:aws:iam::123456789012:role/lab-execution",
    log_group="/dask-knot/lab",
    platform="ec2",
    architecture="amd64",
    tags={"dask-knot": "lab", "owner": "me"},
)


class Account:
    """An emulated account with a queue, a bucket and a group of logs."""

    def __init__(self, session: AwsSession) -> None:
        self.session = session
        batch, iam = session.client("batch"), session.client("iam")
        role = iam.create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        ec2 = session.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        iam.create_instance_profile(InstanceProfileName="instance")
        for name, kind in (("ec2", "EC2"), ("fargate", "FARGATE")):
            resources: dict[str, Any] = {
                "type": kind,
                "maxvCpus": 48,
                "subnets": [subnet],
                "securityGroupIds": [group],
            }
            if kind == "EC2":
                profile = "arn:aws:iam::123456789012:instance-profile/instance"
                resources |= {"minvCpus": 0, "instanceTypes": ["optimal"], "instanceRole": profile}
            made = batch.create_compute_environment(
                computeEnvironmentName=name,
                type="MANAGED",
                state="ENABLED",
                serviceRole=role,
                computeResources=resources,
            )
            queue = "lab-queue" if kind == "EC2" else "lab-fargate"
            order = [{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}]
            batch.create_job_queue(
                jobQueueName=queue, state="ENABLED", priority=1, computeEnvironmentOrder=order
            )
        batch.create_job_queue(
            jobQueueName="lab-closed", state="DISABLED", priority=1, computeEnvironmentOrder=order
        )
        for bucket, region in (("lab-bucket", REGION), ("far-bucket", "us-west-2")):
            where = {"LocationConstraint": region}
            s3 = open_aws_session(region=region)
            s3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
            s3.close()

    def engine(self, outputs: StackOutputs = OUTPUTS, **given: Any) -> AwsEngine:
        """Open an engine."""
        settings = resolve({"engine": "aws", "name": "run", **given})
        return AwsEngine(settings, self.session, outputs, "image:1", {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """Give an account of this process only; making one takes a second, so the tests share it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    patch.delenv("AWS_ENDPOINT_URL", raising=False)
    patch.delenv("AWS_PROFILE", raising=False)
    # Without containers: those of the emulated AWS are started elsewhere.
    with mock_aws(config={"batch": {"use_docker": False}}):
        yield Account(open_aws_session(region=REGION))
    patch.undo()


def test_what_decides_what_jobs_cost(account: Account) -> None:
    assert account.engine().market == Market(REGION, ("on-demand",), "amd64", ("optimal",))
    assert account.engine(queue="lab-fargate").market.lifecycles == ("fargate",)
    arm = account.engine(replace(OUTPUTS, architecture="arm64"))
    assert arm.market.architecture == "arm64"


@pytest.mark.parametrize(
    ("environments", "lifecycles", "types"),
    [
        ([{"type": "EC2"}, {"type": "SPOT"}], ("on-demand", "spot"), ("optimal",)),
        (
            [{"type": "SPOT", "instanceTypes": ["c6i", "m6i.large"]}],
            ("spot",),
            ("c6i", "m6i.large"),
        ),
        ([{"type": "FARGATE_SPOT"}], ("fargate-spot",), ("optimal",)),
        # Where Batch doesn't say it, it is what the stack was made for.
        ([{}], ("spot",), ("optimal",)),
        ([], ("spot",), ("optimal",)),
    ],
)
def test_how_machines_are_paid_for(
    environments: list[Any], lifecycles: tuple[str, ...], types: tuple[str, ...]
) -> None:
    described = [{"computeResources": one} for one in environments]
    found = market(described, replace(OUTPUTS, platform="spot"), REGION)
    assert found == Market(REGION, lifecycles, "amd64", types)


def test_as_many_jobs_as_the_queue_has_room_for(account: Account) -> None:
    assert account.engine().settings.jobs == 48
    assert account.engine(cores=5).settings.jobs == 9
    assert account.engine(cores=100).settings.jobs == 1
    assert account.engine(jobs=3).settings.jobs == 3


def test_the_most_that_a_job_may_have(account: Account) -> None:
    largest = account.engine().largest
    assert (largest.vcpus, largest.memory, largest.gpus) == (48, None, 48)
    largest = account.engine(queue="lab-fargate").largest
    assert (largest.vcpus, largest.memory, largest.gpus) == (16, 120 * 2**30, 0)


def test_a_definition_on_ec2(account: Account) -> None:
    engine = account.engine(
        environment={"A": "1", "OMP_NUM_THREADS": "2"},
        tags={"project": "x", "owner": "you"},
        secrets={"TOKEN": SECRET},
        share_identifier="us",
        scheduling_priority=7,
    )
    request = job_definition(engine.template, Resources(vcpus=2, memory=2**30, gpus=1))
    check_parameters("RegisterJobDefinition", request)
    assert request["jobDefinitionName"].startswith("lab-2c-1024m-1g-")
    assert request["platformCapabilities"] == ["EC2"]
    assert request["tags"] == {"dask-knot": "lab", "owner": "you", "project": "x"}
    container = request["containerProperties"]
    assert container["image"] == "image:1"
    assert container["jobRoleArn"] == OUTPUTS.job_role
    assert container["executionRoleArn"] == OUTPUTS.execution_role
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/dask-knot/lab"
    assert container["linuxParameters"] == {"initProcessEnabled": True}
    assert container["secrets"] == [{"name": "TOKEN", "valueFrom": SECRET}]
    environment = {entry["name"]: entry["value"] for entry in container["environment"]}
    told = json.loads(environment.pop("KNOT_S3"))
    assert told["endpoint"] == f"https://{OUTPUTS.bucket}.s3.{REGION}.amazonaws.com"
    assert environment == {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "KNOT_LIFECYCLES": "on-demand",
        "OMP_NUM_THREADS": "2",
        "A": "1",
    }
    assert engine.template.share == {"shareIdentifier": "us", "schedulingPriorityOverride": 7}
    assert "networkConfiguration" not in container
    assert "secret" not in str(request).replace("'secrets'", "")


@pytest.mark.parametrize("has_shell", [False, True])
def test_jobs_can_be_entered_only_in_a_stack_that_says_so(
    account: Account, has_shell: bool
) -> None:
    engine = account.engine(replace(OUTPUTS, has_shell=has_shell))
    request = job_definition(engine.template, Resources(vcpus=1, memory=2 * 2**30))
    check_parameters("RegisterJobDefinition", request)
    container = request["containerProperties"]
    assert container.get("enableExecuteCommand", False) is has_shell
    assert "readonlyRootFilesystem" not in container  # ECS Exec writes there


@pytest.mark.parametrize(("is_public", "says"), [(True, "ENABLED"), (False, "DISABLED")])
def test_a_definition_on_fargate(account: Account, is_public: bool, says: str) -> None:
    outputs = replace(
        OUTPUTS,
        queue="lab-fargate",
        platform="fargate",
        architecture="arm64",
        has_public_ip=is_public,
    )
    engine = account.engine(outputs, job_role="arn:aws:iam::123456789012:role/own")
    request = job_definition(engine.template, Resources(vcpus=1, memory=2 * 2**30))
    check_parameters("RegisterJobDefinition", request)
    assert request["platformCapabilities"] == ["FARGATE"]
    container = request["containerProperties"]
    assert container["jobRoleArn"] == "arn:aws:iam::123456789012:role/own"
    assert container["networkConfiguration"] == {"assignPublicIp": says}
    assert container["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    with pytest.raises(ConfigurationError, match="The nearest is 1 vCPU and 2048 MiB"):
        job_definition(engine.template, Resources(vcpus=1, memory=2**30))


def test_what_the_platform_of_the_queue_lacks_is_refused(account: Account) -> None:
    more = {"ephemeral-storage": "100 GiB"}
    assert account.engine(queue="lab-fargate", container=more)
    with pytest.raises(ConfigurationError, match="ephemeral-storage: this is for Fargate only"):
        account.engine(container=more)


def test_tags_of_the_stack_and_of_the_user_are_no_more_than_a_job_has() -> None:
    tags = {f"t{n}": "" for n in range(30)}
    found = resolve({"engine": "aws", "tags": {f"u{n}": "" for n in range(30)}})
    assert found.aws is not None
    with pytest.raises(ConfigurationError, match="60, including the stack's, are too many"):
        check_early(found.aws, replace(OUTPUTS, tags=tags))


@pytest.mark.parametrize("name", ["TOKEN", "OMP_NUM_THREADS", "AWS_REGION", "KNOT_S3"])
def test_a_secret_is_in_no_variable_that_has_a_value(name: str) -> None:
    found = resolve({"engine": "aws", "secrets": {name: SECRET}, "environment": {"TOKEN": "x"}})
    assert found.aws is not None
    with pytest.raises(
        ConfigurationError, match=f"jobs have {name} already.*a variable that is set twice"
    ):
        check_early(found.aws, OUTPUTS, {"OMP_NUM_THREADS": "1", **found.environment})
    check_early(replace(found.aws, secrets={"OTHER": SECRET}), OUTPUTS, found.environment)


def test_another_queue_decides_the_platform(account: Account) -> None:
    assert account.engine(queue="lab-fargate").template.platform == "FARGATE"
    assert account.engine(queue="lab-queue").template.queue == "lab-queue"


def test_a_queue_that_is_not_there(account: Account) -> None:
    with pytest.raises(EngineError, match=r"no job queue 'other' in eu-west-1: run `dask knot up`"):
        account.engine(queue="other")


def test_a_queue_that_takes_no_jobs(account: Account) -> None:
    with pytest.raises(EngineError, match="DISABLED and accepts no jobs"):
        account.engine(queue="lab-closed")


def test_a_definition_is_registered_once_for_all_runs(account: Account) -> None:
    stage = Stage((Shard((0,), (), (0,), (), 1.0),) * 3, Resources(1, 2**30))
    for run in ("one", "two"):
        engine = account.engine(name=run)
        service = JobService(engine.client, engine.template, engine.tail)
        service.submit(StageId(0, 0), stage, "s3://lab-bucket/knot/one/packs/000000-000")
        (job,) = service.jobs.values()
        assert job.size == 3
        service.terminate([StageId(0, 0)], "the test is over")
    batch = account.session.client("batch")
    (definition,) = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    assert definition["revision"] == 1


def test_a_definition_with_more_is_registered_beside_that_without(account: Account) -> None:
    size = Resources(vcpus=1, memory=2**30, gpus=0)
    plain, more = account.engine(), account.engine(container={"shared-memory": "8 GiB"})
    arns = []
    for engine in (plain, more):
        request = job_definition(engine.template, size)
        arns.append(engine.client.register_job_definition(**request)["jobDefinitionArn"])
    batch: Any = account.session.client("batch")
    first, second = (
        batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"][0] for arn in arns
    )
    assert second["containerProperties"]["linuxParameters"]["sharedMemorySize"] == 8192
    assert "sharedMemorySize" not in first["containerProperties"]["linuxParameters"]


def test_what_batch_refuses_is_translated(account: Account) -> None:
    with pytest.raises(AwsError, match="AWS refused SubmitJob"):
        account.engine().client.submit_job(jobName="a", jobQueue="nowhere", jobDefinition="b")


def test_the_last_lines_of_a_log(account: Account) -> None:
    engine, logs = account.engine(), account.session.client("logs")
    logs.create_log_group(logGroupName="/dask-knot/lab")
    logs.create_log_stream(logGroupName="/dask-knot/lab", logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n, "message": f"line {n}\n"} for n in range(30)]
    logs.put_log_events(logGroupName="/dask-knot/lab", logStreamName="s", logEvents=events)
    assert engine.tail("s", 2) == ["line 28", "line 29"]
    assert len(engine.tail("s", 100)) == 30
    assert engine.tail("not yet there", 5) == ()


def test_a_log_that_may_not_be_read_is_no_error(account: Account) -> None:
    (line,) = account.engine().tail("", 5)
    assert "can't be read" in line


def test_the_store_is_the_stacks(account: Account) -> None:
    assert account.engine().store_url == "s3://lab-bucket/knot"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/home/me/store", "can't be reached by jobs on AWS"),
        ("file:///store", "can't be reached by jobs on AWS"),
        ("s3://no-such-bucket/x", "there is no bucket no-such-bucket"),
        ("s3://far-bucket", "far-bucket is in us-west-2, and the jobs are in eu-west-1"),
    ],
)
def test_a_store_that_jobs_cannot_use(account: Account, url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        account.engine().open_store(url)


def test_the_store_has_the_credentials_of_the_session(account: Account) -> None:
    store = account.engine().open_store("s3://lab-bucket/knot")
    assert store.url == "s3://lab-bucket/knot"


def test_resize_and_close_leave_aws_alone(account: Account) -> None:
    engine = account.engine()
    engine.resize(1000)
    engine.close()
