"""The least IAM policy to run work in a stack: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.permissions import LOOK
from dask_knot.aws.template.words import Statement, document

Policy = dict[str, Any]

#: Batch knows no resources for these: who may ask may ask for all.
ASK_BATCH = (
    "batch:DescribeComputeEnvironments",
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:DescribeJobs",
    "batch:ListJobs",
)
PULL = ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer")
PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
#: Who has the first has the role of jobs: it can run anything in them.
ENTER = ("ecs:ExecuteCommand", "ecs:DescribeTasks")
#: What tells prices; AWS knows no narrower resource for them than all.
PRICES = (
    "ec2:DescribeSpotPriceHistory",
    "ec2:GetSpotPlacementScores",
    "pricing:GetProducts",
)
#: What ends, follows and starts the stack's own builds of images.
BUILD = ("codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild")
#: What tells whether jobs reach what they need; EC2 knows no narrower resource for it than all.
NETWORK = (
    "ec2:DescribeInstanceTypeOfferings",
    *(f"ec2:{action}" for action in LOOK[0]),
)
OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")


def user_policy(
    outputs: StackOutputs, pushes: bool = True, prices: bool = False, network: bool = False
) -> Policy:
    """Make the least policy to run work in a stack.

    Parameters
    ----------
    outputs : StackOutputs
        The stack.
    pushes : bool
        Whether job images may be pushed to the stack's repository, too.
    prices : bool
        Whether AWS may be asked for prices: `dask knot prices --refresh`, `dask knot regions`.
    network : bool
        Whether EC2 may be asked about subnets, routes and their like: `dask knot doctor`, and what
        is said of instances that start and never join.

    Returns
    -------
    dict
        The policy, ready for ``json.dumps``.
    """
    statements = [
        statement("FindTheStack", ["cloudformation:DescribeStacks"], _stack_arn(outputs)),
        statement("AskBatch", ASK_BATCH, "*"),
        *_jobs(outputs),
        *_objects(outputs),
        statement("ReadLogs", ["logs:GetLogEvents"], _log_streams(outputs)),
        statement("SignInToImages", ["ecr:GetAuthorizationToken"], "*"),
        statement("UseImages", [*PULL, *(PUSH if pushes else ())], _repository_arn(outputs)),
    ]
    if outputs.builder is not None and pushes:
        statements.append(statement("BuildImages", BUILD, _builder_arn(outputs)))
    if not outputs.is_fargate:
        statements.append(statement("CountMachines", ["ecs:DescribeClusters"], _cluster(outputs)))
    if outputs.has_shell:
        statements.append(statement("EnterJobs", ENTER, _tasks(outputs)))
    if prices:
        statements.append(statement("AskForPrices", PRICES, "*"))
    if network:
        statements.append(statement("LookAtTheNetwork", NETWORK, "*"))
    return document(statements)


def statement(
    sid: str, actions: Sequence[str], resource: str | Sequence[str], condition: Any = None
) -> Statement:
    """Make a statement that allows actions."""
    found: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
    return {**found, "Condition": condition} if condition else found


def _jobs(outputs: StackOutputs) -> list[Statement]:
    definitions = _arn(outputs, "batch", f"job-definition/{names.job_definitions(outputs.name)}*")
    jobs = _arn(outputs, "batch", "job/*")
    # Ids of jobs say nothing of whose they are; their tags do.
    is_ours = {"StringEquals": {f"aws:ResourceTag/{names.TAG}": outputs.name}}
    is_tagged_ours = {"StringEquals": {f"aws:RequestTag/{names.TAG}": outputs.name}}
    passed_to = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return [
        statement("SeeOnesTurn", ["batch:GetJobQueueSnapshot"], _queue_arn(outputs)),
        statement("SubmitJobs", ["batch:SubmitJob"], [definitions, _queue_arn(outputs)]),
        statement("DefineJobs", ["batch:RegisterJobDefinition"], definitions),
        statement("TagJobs", ["batch:TagResource"], [definitions, jobs], is_tagged_ours),
        statement("EndJobs", ["batch:TerminateJob"], jobs, is_ours),
        statement(
            "GiveRolesToJobs",
            ["iam:PassRole"],
            [outputs.job_role, outputs.execution_role],
            passed_to,
        ),
    ]


def _objects(outputs: StackOutputs) -> list[Statement]:
    bucket = f"arn:{outputs.partition}:s3:::{outputs.bucket}"
    # Without a prefix, S3 asks whether it may say that an object is missing.
    prefix = {"StringLikeIfExists": {"s3:prefix": f"{outputs.prefix}/*"}}
    statements = [
        statement("UseObjects", OBJECTS, f"{bucket}/{outputs.prefix}/*"),
        statement("ListObjects", ["s3:ListBucket"], bucket, prefix),
    ]
    if outputs.kms_key is not None:
        keys = ["kms:Decrypt", "kms:GenerateDataKey"]
        statements.append(statement("UseTheKey", keys, outputs.kms_key))
    return statements


def _cluster(outputs: StackOutputs, kind: str = "cluster") -> str:
    """Name the clusters of the stack's compute environments, which Batch has made.

    Its name has that of the compute environment in it: all that a stack makes, behind Spot as well,
    begin with the same words. Beside a queue that was there already it isn't known.
    """
    if outputs.compute_environment is None:
        return _arn(outputs, "ecs", f"{kind}/*")
    family = "fargate" if outputs.is_fargate else "ec2"
    return _arn(outputs, "ecs", f"{kind}/*{names.compute_environment(outputs.name, family)}*")


def _tasks(outputs: StackOutputs) -> list[str]:
    """Name the clusters of the stack's compute environments, and their tasks."""
    return [_cluster(outputs), f"{_cluster(outputs, 'task')}/*"]


def _arn(outputs: StackOutputs, service: str, resource: str) -> str:
    return f"arn:{outputs.partition}:{service}:{outputs.region}:{outputs.account}:{resource}"


def _stack_arn(outputs: StackOutputs) -> str:
    return _arn(outputs, "cloudformation", f"stack/{outputs.name}/*")


def _queue_arn(outputs: StackOutputs) -> str:
    if outputs.queue.startswith("arn:"):
        return outputs.queue
    return _arn(outputs, "batch", f"job-queue/{outputs.queue}")


def _builder_arn(outputs: StackOutputs) -> str:
    return _arn(outputs, "codebuild", f"project/{outputs.builder}")


def _log_streams(outputs: StackOutputs) -> str:
    return _arn(outputs, "logs", f"log-group:{outputs.log_group}:log-stream:*")


def _repository_arn(outputs: StackOutputs) -> str:
    return _arn(outputs, "ecr", f"repository/{outputs.repository.partition('/')[2]}")
