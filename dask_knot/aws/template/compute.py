"""The machines of a stack: queue, compute environment, and how its instances are launched."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.network import security_groups, subnets
from dask_knot.aws.template.roles import needs_spot_fleet_role
from dask_knot.aws.template.words import (
    Resource,
    all_tags,
    attribute,
    listed_tags,
    ref,
    tag_list,
    tags,
)

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
#: Parts the name of the compute environment behind that of Spot from the other's.
ON_DEMAND = "on-demand"
#: Between the parts of user data.
BOUNDARY = "==dask-knot=="
#: A job that can never start must not block the queue for ever, even when nobody watches.
STUCK_SECONDS = 3600
STUCK = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
)
#: As jobs wait for machines that AWS hasn't got at the moment: no fault, and for ever if need be.
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"


def compute(options: StackOptions) -> dict[str, Resource]:
    """Make the compute environment, or two, and their queue."""
    resources = {"ComputeEnvironment": _environment(options), "Queue": _queue(options)}
    if options.on_demand_vcpus:
        resources["OnDemandEnvironment"] = _environment(_behind(options), is_behind=True)
    if options.family == "ec2" and options.existing_launch_template is None:
        resources["LaunchTemplate"] = _launch_template(options)
    return resources


def _behind(options: StackOptions) -> StackOptions:
    """Give the options of what stands behind Spot: the same on demand, and nothing kept running."""
    return replace(
        options,
        platform=options.platform.replace("-spot", "").replace("spot", "ec2"),
        max_vcpus=options.on_demand_vcpus,
        on_demand_vcpus=0,
        min_vcpus=0,
        desired_vcpus=None,
        allocation_strategy=None,
        spot_percentage=None,
    )


def _queue(options: StackOptions) -> Resource:
    seconds = dict.fromkeys(STUCK, STUCK_SECONDS)
    if options.capacity_minutes is not None:
        seconds[NO_CAPACITY] = 60 * options.capacity_minutes
    cancel = [
        {"Action": "CANCEL", "State": "RUNNABLE", "MaxTimeSeconds": most, "Reason": reason}
        for reason, most in seconds.items()
    ]
    # Batch asks the first for room, and the next where it has none.
    order = ["ComputeEnvironment", *(["OnDemandEnvironment"] if options.on_demand_vcpus else [])]
    return {
        "Type": "AWS::Batch::JobQueue",
        "Properties": {
            "JobQueueName": names.queue(options.name, options.family),
            "Priority": options.priority,
            "State": "ENABLED",
            "ComputeEnvironmentOrder": [
                {"Order": number, "ComputeEnvironment": ref(name)}
                for number, name in enumerate(order, 1)
            ],
            "JobStateTimeLimitActions": cancel,
            "Tags": tags(options),
        },
    }


def _environment(options: StackOptions, is_behind: bool = False) -> Resource:
    is_fixed = options.family == "ec2" and options.strategy == "BEST_FIT"
    variant = f"{options.platform}-best-fit" if is_fixed else ON_DEMAND if is_behind else ""
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
            "Tags": tags(options),
        },
    }
    if options.container_insights is not None:
        mode = options.container_insights.upper()
        environment["Properties"]["EcsSettings"] = {"ContainerInsights": mode}
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
        "InstanceRole": options.existing_instance_profile or attribute("InstanceProfile", "Arn"),
        "Ec2Configuration": [image],
        "Subnets": subnets(options),
        "SecurityGroupIds": security_groups(options),
        "LaunchTemplate": _launch(options),
        "Tags": all_tags(options),
    }
    return resources | _optional(options)


def _optional(options: StackOptions) -> dict[str, Any]:
    optional = {
        "DesiredvCpus": options.desired_vcpus,
        "BidPercentage": options.spot_percentage,
        "PlacementGroup": options.placement_group,
        "ScalingPolicy": (
            {"MinScaleDownDelayMinutes": options.scale_down_delay}
            if options.scale_down_delay is not None
            else None
        ),
        "SpotIamFleetRole": (
            attribute("SpotFleetRole", "Arn") if needs_spot_fleet_role(options) else None
        ),
    }
    return {name: value for name, value in optional.items() if value is not None}


def _launch(options: StackOptions) -> dict[str, Any]:
    """Refer to the launch template, made or there already."""
    if options.existing_launch_template is not None:
        id, _, number = options.existing_launch_template.partition(":")
        return {"LaunchTemplateId": id, "Version": number or "$Default"}
    # Not "$Latest": a new version then is a change that CloudFormation sees.
    version = attribute("LaunchTemplate", "LatestVersionNumber")
    return {"LaunchTemplateId": ref("LaunchTemplate"), "Version": version}


def _launch_template(options: StackOptions) -> Resource:
    data: dict[str, Any] = {
        # One hop: containers don't reach it, and can't take the instance's role.
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": options.hop_limit,
        },
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": _volume(options)}],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": listed_tags(all_tags(options))}],
    }
    if options.key_pair is not None:
        data["KeyName"] = options.key_pair
    if options.user_data is not None:
        # Not by `Fn::Base64`: CloudFormation gives a template back without letters of other
        # languages, and `down --keep-data` reads it.
        data["UserData"] = b64encode(mime(options.user_data).encode()).decode()
    kinds = [{"ResourceType": "launch-template", "Tags": tag_list(options)}]
    return {
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {"LaunchTemplateData": data, "TagSpecifications": kinds},
    }


def _volume(options: StackOptions) -> dict[str, Any]:
    volume = {
        "VolumeSize": options.volume_size,
        "VolumeType": options.volume_type,
        "Iops": options.volume_iops,
        "Throughput": options.volume_throughput,
        "Encrypted": True,
        "KmsKeyId": options.volume_key,
        "DeleteOnTermination": True,
    }
    return {name: value for name, value in volume.items() if value is not None}


def mime(user_data: str) -> str:
    """Write user data as Batch takes them: it joins its own parts to those of a MIME archive."""
    if not user_data.startswith(("#!", "#cloud-config")):
        return user_data
    kind = "x-shellscript" if user_data.startswith("#!") else "cloud-config"
    return (
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"\n\n'
        f"--{BOUNDARY}\n"
        f'Content-Type: text/{kind}; charset="utf-8"\n\n'
        f"{user_data}\n"
        f"--{BOUNDARY}--\n"
    )
