"""Who may do what: the roles of jobs, of what starts them, and of instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.words import (
    Resource,
    Statement,
    allow,
    attribute,
    bucket_arn,
    document,
    objects_arn,
    ref,
    sub,
    tag_list,
)

#: What ECS's agent on an instance needs; AWS keeps it up to date.
INSTANCE_POLICY = "service-role/AmazonEC2ContainerServiceforEC2Role"
#: What a job needs to be entered with ECS Exec.
SHELL_CHANNELS = (
    "CreateControlChannel",
    "CreateDataChannel",
    "OpenControlChannel",
    "OpenDataChannel",
)
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
EFS = "elasticfilesystem"
SPOT_FLEET_POLICY = "service-role/AmazonEC2SpotFleetTaggingRole"


def needs_spot_fleet_role(options: StackOptions) -> bool:
    """Tell whether Batch asks for a Spot fleet role: only its oldest strategy does."""
    return options.platform == "spot" and options.strategy == "BEST_FIT"


def linked_services(options: StackOptions) -> tuple[str, ...]:
    """Name the services whose own roles an account must have, once; Batch is the last."""
    spot = ("spot",) if options.platform == "spot" else ()
    fleet = ("spotfleet",) if needs_spot_fleet_role(options) else ()
    return ("ecs", *spot, *fleet, "batch")


def roles(options: StackOptions) -> dict[str, Resource]:
    """Make the roles, as far as the platform needs them and they aren't there already."""
    resources = {}
    if options.existing_execution_role is None:
        resources["ExecutionRole"] = _execution_role(options)
    if options.existing_job_role is None:
        resources["JobRole"] = _job_role(options)
    if options.family == "ec2" and options.existing_queue is None:
        resources |= _instance_roles(options)
    return resources


def _instance_roles(options: StackOptions) -> dict[str, Resource]:
    resources = {}
    if options.existing_instance_profile is None:
        resources["InstanceRole"] = _managed_role(options, "ec2", INSTANCE_POLICY)
        resources["InstanceProfile"] = {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [ref("InstanceRole")]},
        }
    if needs_spot_fleet_role(options):
        resources["SpotFleetRole"] = _managed_role(options, "spotfleet", SPOT_FLEET_POLICY)
    return resources


def _job_role(options: StackOptions) -> Resource:
    """Let jobs use the objects under the prefix, and nothing else."""
    objects = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    statements = [allow(objects, objects_arn(options)), list_statement(options)]
    if options.kms_key is not None:
        statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], options.kms_key))
    if options.shell:
        # They know no narrower resource: each opens the channel of its own task.
        statements.append(allow([f"ssmmessages:{action}" for action in SHELL_CHANNELS], "*"))
    statements += [allow(*one) for one in _file_systems(options)]
    return role(options, "ecs-tasks", statements)


def _file_systems(options: StackOptions) -> list[tuple[list[str], object]]:
    """Let jobs mount file systems, and write them; not as root, which an access point decides."""
    services: dict[str, list[object]] = {}
    for one in options.file_systems:
        service = one.split(":")[2] if one.startswith("arn:") else EFS
        place = f"{EFS}:${{AWS::Region}}:${{AWS::AccountId}}"
        here = sub(f"arn:${{AWS::Partition}}:{place}:file-system/{one}")
        services.setdefault(service, []).append(one if one.startswith("arn:") else here)
    return [
        ([f"{service}:ClientMount", f"{service}:ClientWrite"], systems)
        for service, systems in services.items()
    ]


def list_statement(options: StackOptions) -> Statement:
    """Allow to list the prefix.

    "IfExists", because S3 says of a missing object that it is missing, not forbidden, to those
    only who may list its bucket, and then asks without a prefix.
    """
    condition = {"StringLikeIfExists": {"s3:prefix": [f"{options.prefix}/*"]}}
    return allow(["s3:ListBucket"], bucket_arn(options), condition)


def _execution_role(options: StackOptions) -> Resource:
    """Let what starts a container pull its image, write its log and read its secrets."""
    logs = log_streams_arn()
    statements = [
        allow(["ecr:GetAuthorizationToken"], "*"),
        # Any repository: jobs may use images that are there already.
        allow(PULL, sub("arn:${AWS::Partition}:ecr:*:*:repository/*")),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], logs),
    ]
    kinds = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameters"}
    for service, action in kinds.items():
        arns = [arn for arn in options.secrets if arn.split(":")[2] == service]
        if arns:
            statements.append(allow([action], arns))
    return role(options, "ecs-tasks", statements)


def log_streams_arn(streams: str = "*") -> Resource:
    """Refer to streams of the stack's group of logs."""
    # The group's own attribute ends in ":*".
    return sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Group}"
        f":log-stream:{streams}",
        Group=ref("LogGroup"),
    )


def _managed_role(options: StackOptions, service: str, policy: str) -> Resource:
    made = role(options, service, [])
    made["Properties"]["ManagedPolicyArns"] = [
        sub(f"arn:${{AWS::Partition}}:iam::aws:policy/{policy}")
    ]
    return made


def role(options: StackOptions, service: str, statements: Sequence[Statement]) -> Resource:
    """Make a role that a service takes, with what it may do."""
    trust: Statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    if service in ("ecs-tasks", "codebuild"):  # no other account may make them take the role
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    properties: dict[str, Any] = {
        "AssumeRolePolicyDocument": document([trust]),
        "Tags": tag_list(options),
    }
    if options.permissions_boundary is not None:
        properties["PermissionsBoundary"] = options.permissions_boundary
    if statements:
        properties["Policies"] = [{"PolicyName": "use", "PolicyDocument": document(statements)}]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def job_role(options: StackOptions) -> object:
    """Refer to the role of jobs, made or there already."""
    return options.existing_job_role or attribute("JobRole", "Arn")


def execution_role(options: StackOptions) -> object:
    """Refer to the role of what starts jobs, made or there already."""
    return options.existing_execution_role or attribute("ExecutionRole", "Arn")
