"""The rules of AWS for each option of a stack by itself, one line an option: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_knot.aws import names
from dask_knot.settings.awschecks import SECRET, tags
from dask_knot.settings.checks import wrong
from dask_knot.settings.resolver import Check

PLATFORMS = ("ec2", "spot", "fargate", "fargate-spot")
ARCHITECTURES = ("amd64", "arm64")
#: Instances start from none of the others that EBS has (st1, sc1).
VOLUME_TYPES = ("gp3", "gp2", "io1", "io2", "standard")
#: Magnetic disks have so many GiB at most; all others more than `volume_size` may be.
LARGEST_STANDARD = 1024
#: What the whole disk may do: operations a second at the least and most, and for each GiB of it.
IOPS = {"gp3": (3000, 80_000, 500), "io1": (100, 64_000, 50), "io2": (100, 256_000, 1000)}
#: Each operation a second is good for so many MiB a second, and not more.
THROUGHPUT_PER_IOPS = 0.25
INSIGHTS = ("disabled", "enabled", "enhanced")
#: EC2 takes 16 KiB, before they are encoded, and Batch puts a part of its own beside.
USER_DATA_BYTES = 15 * 1024
#: How what cloud-init understands begins.
USER_DATA_STARTS = ("#!", "#cloud-config", "MIME-Version:", "Content-Type: multipart/")
STRATEGIES = {
    "ec2": ("BEST_FIT_PROGRESSIVE", "BEST_FIT_PROGRESSIVE_ORDERED", "BEST_FIT"),
    "spot": (
        "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "SPOT_CAPACITY_OPTIMIZED",
        "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
        "BEST_FIT_PROGRESSIVE",
        "BEST_FIT",
    ),
}
#: CloudWatch keeps logs for one of these numbers of days.
LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
#: The AMIs of Batch need this much (GiB).
SMALLEST_VOLUME = 30
MOST_TAGS = 45  # of the 50 that AWS allows, some are ours and CloudFormation's


def _choice(valid: tuple[Any, ...]) -> Check:
    def check(name: str, value: Any) -> Any:
        if value not in valid:
            raise wrong(name, value, f"one of {', '.join(map(repr, valid))}")
        return value

    return check


def strategy(platform: str) -> Check:
    """Make the check of an allocation strategy, for a platform of instances."""
    return _choice(STRATEGIES[platform])


def between(least: int, most: int) -> Check:
    """Make the check of a number that has a least and a highest value."""

    def check(name: str, value: int) -> int:
        if not least <= value <= most:
            raise wrong(name, value, f"from {least} to {most}")
        return value

    return check


def _like(pattern: str, expected: str) -> Check:
    def check(name: str, value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise wrong(name, value, expected)
        return value

    return check


def _each_like(pattern: str, what: str) -> Check:
    check_one = _like(pattern, f"{what} in AWS's own form")

    def check(name: str, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_one(name, one) for one in value)

    return check


def _user_data(name: str, text: str) -> str:
    """Take what cloud-init understands; a script is wrapped as Batch wants it by the template."""
    if not text.startswith(USER_DATA_STARTS):
        raise wrong(
            name,
            text[:40],
            "the text of a script (#!/bin/bash…), of #cloud-config, or of MIME parts",
        )
    if len(text.encode()) > USER_DATA_BYTES:
        raise wrong(
            name, text[:40], f"at most {USER_DATA_BYTES:,} bytes: let the script download the rest"
        )
    return text


def _tags(name: str, given: Mapping[str, str]) -> Mapping[str, str]:
    return tags(name, given, MOST_TAGS)


def _owner(name: str, owner: str) -> str:
    """Take the value of a tag, as AWS allows it."""
    tags(name, {names.OWNER_TAG: owner})
    return owner


_ROLE = _like(
    r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+",
    "the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)",
)
_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+"
_A_KEY = "the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)"
#: By the names of `StackOptions`; an option that isn't here may be whatever its type allows.
RULES: dict[str, Check] = {
    "name": names.check_stack,
    "platform": _choice(PLATFORMS),
    "architecture": _choice(ARCHITECTURES),
    "instance_types": _each_like(
        r"optimal|default_(x86_64|arm64)|[a-z][a-z0-9-]*(\.[a-z0-9-]+)?", "instance types"
    ),
    "max_vcpus": between(1, 1_000_000),
    "spot_percentage": between(1, 100),
    "ami": _like(r"ami-[0-9a-f]{8,17}", "an AMI such as ami-0123456789abcdef0"),
    "key_pair": _like(r"[\x20-\x7e]{1,255}", "the name of a key pair, of at most 255 letters"),
    "volume_size": between(SMALLEST_VOLUME, 16384),
    "volume_type": _choice(VOLUME_TYPES),
    "vpc": _like(
        r"default|new|vpc-[0-9a-f]{8,17}",
        "'default', 'new' or the id of a VPC, such as vpc-0123456789abcdef0",
    ),
    "subnets": _each_like(r"subnet-[0-9a-f]{8,17}", "subnets"),
    "security_groups": _each_like(r"sg-[0-9a-f]{8,17}", "security groups"),
    "bucket": names.check_bucket,
    "prefix": names.check_prefix,
    "encryption": _like(f"AES256|{_KEY}", f"'AES256' or {_A_KEY}"),
    "repository": names.check_repository,
    "existing_bucket": names.check_bucket,
    "existing_job_role": _ROLE,
    "secrets": _each_like(SECRET, "secrets"),
    "tags": _tags,
    "owner": _owner,
    "priority": between(0, 1000),
    "expiry_days": between(1, 36500),
    "log_days": _choice(LOG_DAYS),
    "images": between(1, 10000),
    "on_demand_vcpus": between(0, 1_000_000),
    "existing_repository": names.check_repository,
    "existing_execution_role": _ROLE,
    "existing_instance_profile": _like(
        r"arn:aws[a-z-]*:iam::\d{12}:instance-profile/[\w+=,.@/-]+",
        "the ARN of an instance profile (arn:aws:iam::ACCOUNT:instance-profile/NAME)",
    ),
    "existing_launch_template": _like(
        r"lt-[0-9a-f]{8,17}(:(\d+|\$Latest|\$Default))?",
        "the id of a launch template, with a version or without: lt-0123456789abcdef0:3",
    ),
    "permissions_boundary": _like(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
        "the ARN of a policy (arn:aws:iam::ACCOUNT:policy/NAME)",
    ),
    "volume_key": _like(_KEY, _A_KEY),
    "volume_iops": between(100, 256_000),
    "volume_throughput": between(125, 2000),
    "placement_group": _like(r"[\x21-\x7e]{1,255}", "the name of a placement group"),
    "user_data": _user_data,
    "hop_limit": between(1, 64),
    "scale_down_delay": between(20, 10_080),
    "container_insights": _choice(INSIGHTS),
    "capacity_minutes": between(10, 1440),
    "file_systems": _each_like(
        r"fs-[0-9a-f]{8,40}|arn:aws[a-z-]*:(elasticfilesystem|s3files):[a-z0-9-]+:\d{12}"
        r":file-system/fs-[0-9a-f]{8,40}",
        "file systems (fs-0123456789abcdef0, or the ARN of one of EFS or S3 Files)",
    ),
}
