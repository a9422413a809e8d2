"""The rules of AWS for each option of a stack by itself, one line an option: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_knot.aws import names
from dask_knot.errors import ConfigurationError
from dask_knot.settings.checks import wrong
from dask_knot.settings.resolver import Check

PLATFORMS = ("ec2", "spot", "fargate", "fargate-spot")
ARCHITECTURES = ("amd64", "arm64")
VOLUME_TYPES = ("gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")
STRATEGIES = {
    "ec2": ("BEST_FIT_PROGRESSIVE", "BEST_FIT"),
    "spot": (
        "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "SPOT_CAPACITY_OPTIMIZED",
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
_TAG = re.compile(r"[\w\s+=.:/@-]+")


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
    check_one = _like(pattern, f"{what} as AWS writes them")

    def check(name: str, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_one(name, one) for one in value)

    return check


def _tags(name: str, tags: Mapping[str, str]) -> Mapping[str, str]:
    if len(tags) > MOST_TAGS:
        raise ConfigurationError(f"{len(tags)} tags are too many: {MOST_TAGS} at most")
    for key, value in tags.items():
        is_key = _TAG.fullmatch(key) and len(key) <= 128 and not key.lower().startswith("aws:")
        if not is_key or key == names.TAG:
            raise wrong(
                name,
                key,
                "keys of up to 128 letters, digits, spaces and _.:/=+-@, not beginning with 'aws:' "
                f"and not {names.TAG!r}, which is ours",
            )
        if len(value) > 256 or (value and not _TAG.fullmatch(value)):
            raise wrong(name, value, "values of up to 256 letters, digits and _.:/=+-@")
    return tags


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
    "encryption": _like(
        r"AES256|arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "'AES256' or the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)",
    ),
    "repository": names.check_repository,
    "existing_bucket": names.check_bucket,
    "existing_job_role": _like(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+",
        "the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)",
    ),
    "secrets": _each_like(r"arn:aws[a-z-]*:(secretsmanager|ssm):[a-z0-9-]+:\d{12}:\S+", "secrets"),
    "tags": _tags,
    "priority": between(0, 1000),
    "expiry_days": between(1, 36500),
    "log_days": _choice(LOG_DAYS),
    "images": between(1, 10000),
}
