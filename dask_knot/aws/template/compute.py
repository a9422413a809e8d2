"""The machines of a stack: queue, compute environment, and how its instances are launched."""

from __future__ import annotations

from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.network import security_groups, subnets
from dask_knot.aws.template.roles import needs_spot_fleet_role
from dask_knot.aws.template.words import Resource, attribute, ref, tag_list

#: Instances when the user names none, by whether they have GPUs and by architecture.
INSTANCE_TYPES = {
    (False, "amd64"): ["optimal"],
    (False, "arm64"): ["c6g", "m6g", "r6g"],
    (True, "amd64"): ["g4dn"],
    (True, "arm64"): ["g5g"],
}
#: The disk that the AMIs of Batch start from.
ROOT_DEVICE = "/dev/xvda"
#: Minutes that running jobs are given when the environment changes under them.
UPDATE_MINUTES = 30
#: A job that can never start must not block the queue for ever, even when nobody watches.
STUCK_SECONDS = 3600
STUCK = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
)


def compute(options: StackOptions) -> dict[str, Resource]:
    """Make the compute environment and its queue."""
    resources = {"ComputeEnvironment": _environment(options), "Queue": _queue(options)}
    if options.family == "ec2":
        resources["LaunchTemplate"] = _launch_template(options)
    return resources


def _queue(options: StackOptions) -> Resource:
    cancel = [
        {"Action": "CANCEL", "State": "RUNNABLE", "MaxTimeSeconds": STUCK_SECONDS, "Reason": reason}
        for reason in STUCK
    ]
    return {
        "Type": "AWS::Batch::JobQueue",
        "Properties": {
            "JobQueueName": names.queue(options.name, options.family),
            "Priority": options.priority,
            "State": "ENABLED",
            "ComputeEnvironmentOrder": [
                {"Order": 1, "ComputeEnvironment": ref("ComputeEnvironment")}
            ],
            "JobStateTimeLimitActions": cancel,
            "Tags": options.all_tags,
        },
    }


def _environment(options: StackOptions) -> Resource:
    is_fixed = options.family == "ec2" and options.strategy == "BEST_FIT"
    variant = f"{options.platform}-best-fit" if is_fixed else ""
    resources = _fargate(options) if options.family == "fargate" else _instances(options)
    environment: Resource = {
        "Type": "AWS::Batch::ComputeEnvironment",
        "Properties": {
            "ComputeEnvironmentName": names.compute_environment(
                options.name, options.family, variant
            ),
            "Type": "MANAGED",
            "State": "ENABLED",
            "ServiceRole": ref("ServiceRole"),
            "ComputeResources": resources,
            "Tags": options.all_tags,
        },
    }
    if not is_fixed:
        # Changed in place: what has a name can't be replaced by another of the same name.
        environment["Properties"]["ReplaceComputeEnvironment"] = False
        environment["Properties"]["UpdatePolicy"] = {
            "TerminateJobsOnUpdate": False,
            "JobExecutionTimeoutMinutes": UPDATE_MINUTES,
        }
    return environment


def _fargate(options: StackOptions) -> dict[str, Any]:
    return {
        "Type": options.platform.replace("-", "_").upper(),
        "MaxvCpus": options.max_vcpus,
        "Subnets": subnets(options),
        "SecurityGroupIds": security_groups(options),
    }


def _instances(options: StackOptions) -> dict[str, Any]:
    types = list(options.instance_types) or INSTANCE_TYPES[options.gpu, options.architecture]
    image = {"ImageType": "ECS_AL2023_NVIDIA" if options.gpu else "ECS_AL2023"}
    if options.ami is not None:
        image["ImageIdOverride"] = options.ami
    resources: dict[str, Any] = {
        "Type": options.platform.upper(),
        "AllocationStrategy": options.strategy,
        "MinvCpus": options.min_vcpus,
        "MaxvCpus": options.max_vcpus,
        "InstanceTypes": types,
        "InstanceRole": attribute("InstanceProfile", "Arn"),
        "Ec2Configuration": [image],
        "Subnets": subnets(options),
        "SecurityGroupIds": security_groups(options),
        "LaunchTemplate": {
            "LaunchTemplateId": ref("LaunchTemplate"),
            # Not "$Latest": a new version then is a change that CloudFormation sees.
            "Version": attribute("LaunchTemplate", "LatestVersionNumber"),
        },
        "Tags": options.all_tags,
    }
    return resources | _optional(options)


def _optional(options: StackOptions) -> dict[str, Any]:
    optional = {
        "DesiredvCpus": options.desired_vcpus,
        "BidPercentage": options.spot_percentage,
        "SpotIamFleetRole": (
            attribute("SpotFleetRole", "Arn") if needs_spot_fleet_role(options) else None
        ),
    }
    return {name: value for name, value in optional.items() if value is not None}


def _launch_template(options: StackOptions) -> Resource:
    volume = {
        "VolumeSize": options.volume_size,
        "VolumeType": options.volume_type,
        "Encrypted": True,
        "DeleteOnTermination": True,
    }
    data: dict[str, Any] = {
        # One hop: containers don't reach it, and can't take the instance's role.
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": volume}],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": tag_list(options)}],
    }
    if options.key_pair is not None:
        data["KeyName"] = options.key_pair
    kinds = [{"ResourceType": "launch-template", "Tags": tag_list(options)}]
    return {
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {"LaunchTemplateData": data, "TagSpecifications": kinds},
    }
