"""Stacks of every kind in the emulated AWS, as `dask knot up` makes them, with real containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.aws.outputs import StackOutputs, read_outputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.cli.main import knot
from dask_knot.errors import ConfigurationError
from tests.end_to_end.containers import machine
from tests.rig.machine import Rig
from tests.rig.queues import Batch

__all__ = ["machine"]

pytestmark = pytest.mark.timeout(300)

Make = Callable[..., StackOutputs]


def dask_knot(*arguments: str) -> str:
    """Run `dask knot …` in this process."""
    result = CliRunner().invoke(knot, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def session(machine: Rig) -> Iterator[AwsSession]:
    """Open a session with the emulated AWS."""
    opened = open_aws_session()
    yield opened
    opened.close()


@pytest.fixture
def make(session: AwsSession) -> Iterator[Make]:
    """Make stacks, and delete them after the test."""
    with ExitStack() as made:

        def make_one(name: str, *options: str) -> StackOutputs:
            dask_knot("up", "--no-config", "--name", name, *options)
            made.callback(dask_knot, "down", "--yes", "--name", name)
            return read_outputs(session, name)

        yield make_one


@contextmanager
def opened(stack: StackOutputs, image: str, **more: Any) -> Iterator[KnotCluster]:
    """Open a cluster in a stack."""
    given = {"jobs": 2, "dashboard_address": None, "memory": "400 MiB", **more}
    with KnotCluster(engine="aws", stack=stack.name, image=image, **given) as cluster:
        yield cluster


def squares(cluster: KnotCluster, session: AwsSession) -> dict[str, Any]:
    """Compute something, and give the definition of the job that did."""
    with Client(cluster) as client:
        assert client.gather(client.map(lambda x: x * x, range(20))) == [x * x for x in range(20)]
        (job,) = [row.job_id for row in cluster.jobs]
    batch = session.client("batch")
    (found,) = batch.describe_jobs(jobs=[job])["jobs"]
    arn = found["jobDefinition"]
    (definition,) = batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    return dict(definition)


def needs(definition: dict[str, Any]) -> dict[str, str]:
    listed = definition["containerProperties"]["resourceRequirements"]
    return {one["type"]: one["value"] for one in listed}


def environment_of(session: AwsSession, stack: StackOutputs) -> dict[str, Any]:
    batch = session.client("batch")
    (queue,) = batch.describe_job_queues(jobQueues=[stack.queue])["jobQueues"]
    (order,) = queue["computeEnvironmentOrder"]
    name = order["computeEnvironment"]
    (found,) = batch.describe_compute_environments(computeEnvironments=[name])[
        "computeEnvironments"
    ]
    return dict(found["computeResources"])


@pytest.mark.parametrize("platform", ["fargate", "fargate-spot"])
def test_a_map_on_fargate(
    platform: str, make: Make, session: AwsSession, machine: Rig, job_image: str
) -> None:
    stack = make(f"on-{platform}", "--platform", platform, "--max-vcpus", "4")
    environment = environment_of(session, stack)
    assert environment["type"] == platform.replace("-", "_").upper()
    assert "instanceRole" not in environment
    with opened(stack, job_image, memory="2 GiB") as cluster:
        definition = squares(cluster, session)
    container = definition["containerProperties"]
    assert definition["platformCapabilities"] == ["FARGATE"]
    assert needs(definition) == {"VCPU": "1", "MEMORY": "2048"}
    assert container["networkConfiguration"] == {"assignPublicIp": "ENABLED"}
    assert container["executionRoleArn"] == stack.execution_role
    assert container["jobRoleArn"] == stack.job_role
    assert container["runtimePlatform"] == {
        "operatingSystemFamily": "LINUX",
        "cpuArchitecture": "X86_64",
    }


def test_a_size_that_fargate_has_not_is_refused_before_anything_is_sent(
    make: Make, machine: Rig, job_image: str
) -> None:
    stack = make("sizes", "--platform", "fargate")
    before = machine.counts()
    words = "nearest is 1 vCPU and 2048 MiB"
    with pytest.raises(ConfigurationError, match=words), opened(stack, job_image, memory="1 GiB"):
        pass
    with opened(stack, job_image, memory="2 GiB") as cluster, Client(cluster) as client:
        future = client.submit(sum, [1], resources={"MEMORY": 9 * 2**30})
        with pytest.raises(ConfigurationError, match=r"nearest is 2 vCPU and 9216 MiB"):
            future.result()
    made = machine.counts() - before
    assert not [name for name in made if "submitjob" in name or "registerjob" in name], made


def test_spot_with_a_bucket_and_a_role_that_were_there(
    make: Make, session: AwsSession, machine: Rig, job_image: str
) -> None:
    s3, iam = session.client("s3"), session.client("iam")
    s3.create_bucket(Bucket="theirs")
    for key in ("elsewhere", "knot/other-run"):
        s3.put_object(Bucket="theirs", Key=key, Body=b"1")
    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    options = ("--existing-bucket", "theirs", "--existing-job-role", role)
    stack = make("on-spot", "--platform", "spot", "--spot-percentage", "60", *options)
    environment = environment_of(session, stack)
    assert (environment["type"], environment["bidPercentage"]) == ("SPOT", 60)
    assert environment["allocationStrategy"] == "SPOT_PRICE_CAPACITY_OPTIMIZED"
    assert stack.store_url == "s3://theirs/knot"
    with opened(stack, job_image) as cluster:
        definition = squares(cluster, session)
    assert definition["platformCapabilities"] == ["EC2"]
    assert definition["containerProperties"]["jobRoleArn"] == role
    assert "spot" in " ".join(names(session, stack))
    assert not {"theirs", role} & names(session, stack)
    dask_knot("down", "--yes", "--name", "on-spot")
    left = [one["Key"] for one in s3.list_objects_v2(Bucket="theirs")["Contents"]]
    left = [key for key in left if not key.startswith("knot/_costs/")]
    assert left == ["elsewhere", "knot/other-run"]
    assert iam.get_role(RoleName="theirs")["Role"]["Arn"] == role


def test_a_queue_that_was_there(
    make: Make, session: AwsSession, machine: Rig, job_image: str
) -> None:
    batch = Batch(machine)
    before = session.client("batch").describe_compute_environments()["computeEnvironments"]
    stack = make("beside", "--platform", "spot", "--existing-queue", batch.queue)
    assert session.client("batch").describe_compute_environments()["computeEnvironments"] == before
    with opened(stack, job_image) as cluster:
        squares(cluster, session)
    dask_knot("down", "--yes", "--name", "beside")
    (queue,) = session.client("batch").describe_job_queues(jobQueues=[batch.queue])["jobQueues"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")


def names(session: AwsSession, stack: StackOutputs) -> set[str]:
    """Name what a stack made."""
    client = session.client("cloudformation")
    found = client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    return {str(one.get("PhysicalResourceId")) for one in found}


def test_a_bucket_encrypted_with_a_key(
    make: Make, session: AwsSession, machine: Rig, job_image: str
) -> None:
    key = session.client("kms").create_key()["KeyMetadata"]["Arn"]
    stack = make("encrypted", "--encryption", key)
    s3 = session.client("s3")
    (rule,) = s3.get_bucket_encryption(Bucket=stack.bucket)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": key,
    }
    assert stack.kms_key == key
    with opened(stack, job_image, name="kept") as cluster:
        squares(cluster, session)
    found = s3.list_objects_v2(Bucket=stack.bucket, Prefix="knot/kept")["Contents"]
    heads = [s3.head_object(Bucket=stack.bucket, Key=one["Key"]) for one in found]
    assert {(one["ServerSideEncryption"], one["SSEKMSKeyId"]) for one in heads} == {
        ("aws:kms", key)
    }
    user = json.loads(dask_knot("policy", "--user", "--name", "encrypted"))
    (use,) = [one for one in user["Statement"] if "kms:Decrypt" in one["Action"]]
    assert use["Resource"] == key
    role = stack.job_role.rpartition("/")[2]
    iam = session.client("iam")
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    (use,) = [one for one in document["Statement"] if "kms:Decrypt" in one["Action"]]
    assert use["Resource"] == key


#: What a task finds in a container that has it.
MORE: dict[str, Any] = {
    "shared-memory": "200 MiB",
    "ulimits": {"nofile": "4000:5000"},
    "tmpfs": {"/scratch": "16 MiB", "/tmp": "64 MiB"},
    "read-only": True,
}


def found_in_a_container(cluster: KnotCluster) -> dict[str, Any]:
    """Let a task look around."""

    def look() -> dict[str, Any]:
        import os
        import resource

        sizes = {one: os.statvfs(one) for one in ("/dev/shm", "/scratch")}
        found: dict[str, Any] = {
            one: size.f_frsize * size.f_blocks >> 20 for one, size in sizes.items()
        }
        try:
            os.mkdir("/new")
        except OSError as error:
            found["root"] = error.strerror
        return {**found, "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)}

    with Client(cluster) as client:
        result: dict[str, Any] = client.submit(look).result(timeout=120)
        return result


def test_what_containers_have_behind_spot_and_with_docker(
    make: Make, session: AwsSession, machine: Rig, job_image: str
) -> None:
    stack = make("rich", "--platform", "spot", "--on-demand-vcpus", "2", "--tag", "team=ice")
    batch = session.client("batch")
    (queue,) = batch.describe_job_queues(jobQueues=[stack.queue])["jobQueues"]
    assert [one["order"] for one in queue["computeEnvironmentOrder"]] == [1, 2]
    expected: dict[str, Any] = {"/dev/shm": 200, "/scratch": 16, "nofile": (4000, 5000)}
    expected["root"] = "Read-only file system"
    with opened(stack, job_image, container=MORE) as cluster:
        assert found_in_a_container(cluster) == expected
    given = {"jobs": 1, "dashboard_address": None, "memory": "400 MiB", "image": job_image}
    with KnotCluster(engine="docker", container=MORE, **given) as cluster:
        assert found_in_a_container(cluster) == expected


def test_gpus_are_asked_for(make: Make, session: AwsSession, machine: Rig, job_image: str) -> None:
    stack = make("with-gpus", "--gpu", "--instance-types", "g4dn.xlarge")
    environment = environment_of(session, stack)
    assert environment["instanceTypes"] == ["g4dn.xlarge"]
    assert environment["ec2Configuration"] == [{"imageType": "ECS_AL2023_NVIDIA"}]
    with opened(stack, job_image, gpus=1) as cluster:  # this machine gives the container none
        definition = squares(cluster, session)
    assert needs(definition) == {"VCPU": "1", "MEMORY": "400", "GPU": "1"}
