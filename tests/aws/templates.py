"""Stacks with all that Batch can do, and with all that can be there already."""

from __future__ import annotations

from typing import Any

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template import make_template

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0123"
IAM = "arn:aws:iam::123456789012:"
BOUNDARY = IAM + "policy/edge"
EFS, S3_FILES = (
    "fs-0123456789abcdef0",
    "arn:aws:s3files:eu-west-1:123456789012:file-system/fs-0123456789abcdef0",
)
#: Tags as long as AWS has them, and as many.
LONG_TAGS = {f"{n:03}".ljust(128, "k"): f"{n:03}".ljust(256, "v") for n in range(45)}
#: All that Batch can do, which the default does without.
ALL = StackOptions(
    platform="spot",
    vpc="new",
    gpu=True,
    on_demand_vcpus=64,
    min_vcpus=2,
    permissions_boundary=BOUNDARY,
    key_pair="me",
    encryption=KEY,
    volume_key=KEY,
    volume_iops=4000,
    volume_throughput=500,
    placement_group="close",
    user_data="#!/bin/bash\nmkdir /fsx\n",
    hop_limit=2,
    scale_down_delay=30,
    container_insights="enhanced",
    capacity_minutes=20,
    file_systems=(EFS, S3_FILES),
    tags=LONG_TAGS,
    owner="ada",
    shell=True,
)
#: All that can be there already, but for the queue.
SHARED = StackOptions(
    remote_build=False,
    platform="spot",
    on_demand_vcpus=64,
    existing_bucket="theirs",
    existing_repository="a/b",
    existing_job_role=IAM + "role/jobs",
    existing_execution_role=IAM + "role/starter",
    existing_instance_profile=IAM + "instance-profile/machines",
    existing_launch_template="lt-0123456789abcdef0:3",
)


def properties(options: StackOptions, resource: str) -> dict[str, Any]:
    """Give the properties of a resource."""
    found: dict[str, Any] = make_template(options)["Resources"][resource]["Properties"]
    return found
