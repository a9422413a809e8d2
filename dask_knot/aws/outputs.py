"""The outputs of a stack: all that is needed to run jobs in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.session import REFUSALS, AwsSession, translate
from dask_knot.errors import StackError

#: A stack in one of these states can be used, even while it is changed.
USABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_FAILED",
)


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """A stack that can run jobs.

    Attributes
    ----------
    name, id, status : str
        The stack's.
    bucket, prefix : str
        Where values are kept: ``s3://bucket/prefix``.
    repository : str
        The URI of the repository of job images, without a tag.
    queue, job_role, execution_role : str
        ARNs (a queue that was there already may be a name).
    log_group : str
        The name of the group of the jobs' logs.
    platform : str
        ``ec2``, ``spot``, ``fargate`` or ``fargate-spot``.
    architecture : str
        ``amd64`` or ``arm64``.
    has_gpus : bool
        Whether instances with GPUs are wanted.
    has_public_ip : bool
        Whether jobs on Fargate get a public address.
    compute_environment : str or None
        Its ARN; None beside a queue that was there already.
    kms_key : str or None
        The ARN of the key of the bucket, if it isn't S3's own.
    has_shell : bool
        Whether jobs can be entered with ECS Exec.
    builder : str or None
        The name of the project that builds images; None where the stack has none.
    tags : mapping of str to str
        The tags of the stack, which are those of all its resources.
    """

    name: str
    id: str
    status: str
    bucket: str
    prefix: str
    repository: str
    queue: str
    job_role: str
    execution_role: str
    log_group: str
    platform: str
    architecture: str
    has_gpus: bool = False
    has_public_ip: bool = True
    compute_environment: str | None = None
    kms_key: str | None = None
    has_shell: bool = False
    builder: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.id.split(":")[1]

    @property
    def region(self) -> str:
        """The region of the stack."""
        return self.id.split(":")[3]

    @property
    def account(self) -> str:
        """The account of the stack."""
        return self.id.split(":")[4]

    @property
    def store_url(self) -> str:
        """The URL of the store."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def is_fargate(self) -> bool:
        """True if jobs run on Fargate."""
        return self.platform.startswith("fargate")


def find_stack(client: Any, name: str) -> Mapping[str, Any] | None:
    """Give what CloudFormation says of a stack, by name or id; None if there is none.

    Raises
    ------
    StackError
        If there is one of that name that `dask knot up` didn't make.
    AwsError
        If AWS doesn't answer.
    """
    try:
        stack: Mapping[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    except REFUSALS as error:
        if "does not exist" in str(error):
            return None
        raise translate(error) from error
    if names.TAG not in stack_tags(stack):
        raise StackError(
            f"the stack {name!r} wasn't made by `dask knot up` (it has no {names.TAG!r} "
            "tag). Choose another name"
        )
    return stack


def stack_tags(stack: Mapping[str, Any]) -> dict[str, str]:
    """Give the tags of a stack."""
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}


def read_outputs(session: AwsSession, name: str) -> StackOutputs:
    """Read what the stack of that name says.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    name : str
        The stack.

    Raises
    ------
    StackError
        If there is no such stack in the region, or it can't be used.
    AwsError
        If AWS doesn't answer.
    """
    stack = find_stack(session.client("cloudformation"), name)
    if stack is None:
        raise StackError(
            f"there is no stack {name!r} in {session.region}: make one with `dask knot up "
            f"--name {name} --region {session.region}`, or set knot.aws.region and "
            "knot.aws.stack to those of the stack you mean"
        )
    return parse_outputs(stack)


def parse_outputs(stack: Mapping[str, Any]) -> StackOutputs:
    """Read what CloudFormation said of a stack: pure.

    Raises
    ------
    StackError
        If the stack can't be used, or says less than is needed.
    """
    name, status = stack["StackName"], stack["StackStatus"]
    if status not in USABLE:
        raise StackError(
            f"the stack {name!r} can't be used while it is {status}: run `dask knot up` "
            "again (`dask knot status` shows its state)"
        )
    said = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    try:
        return _outputs(stack, said)
    except KeyError as error:
        raise StackError(
            f"the stack {name!r} was made by another version of dask_knot and lacks the "
            f"output {error.args[0]}: run `dask knot up` to update it"
        ) from error


def _outputs(stack: Mapping[str, Any], said: Mapping[str, str]) -> StackOutputs:
    return StackOutputs(
        name=stack["StackName"],
        id=stack["StackId"],
        status=stack["StackStatus"],
        bucket=said["Bucket"],
        prefix=said["Prefix"],
        repository=said["Repository"],
        queue=said["Queue"],
        job_role=said["JobRole"],
        execution_role=said["ExecutionRole"],
        log_group=said["LogGroup"],
        platform=said["Platform"],
        architecture=said["Architecture"],
        has_gpus=said["Gpu"] == "true",
        has_public_ip=said["PublicIp"] == "true",
        compute_environment=said.get("ComputeEnvironment"),
        kms_key=said.get("KmsKey"),
        has_shell=said.get("Shell") == "true",
        builder=said.get("Builder"),
        tags=stack_tags(stack),
    )
