"""What AWS lets the options of a stack be, and which of them go together: pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dask_knot.aws import names
from dask_knot.errors import ConfigurationError
from dask_knot.settings.checks import wrong

if TYPE_CHECKING:
    from dask_knot.aws.options import StackOptions

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
#: What means nothing on Fargate, by the value that isn't given.
EC2_ONLY = {
    "instance_types": (),
    "gpu": False,
    "min_vcpus": 0,
    "desired_vcpus": None,
    "allocation_strategy": None,
    "ami": None,
    "key_pair": None,
}
#: What means nothing beside a queue that is there already.
MADE_WITH_QUEUE = {**EC2_ONLY, "spot_percentage": None, "subnets": (), "security_groups": ()}

_PATTERNS = {
    "ami": re.compile(r"ami-[0-9a-f]{8,17}"),
    "vpc": re.compile(r"default|new|vpc-[0-9a-f]{8,17}"),
    "encryption": re.compile(r"AES256|arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+"),
    "existing_job_role": re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"),
}
_EXPECTED = {
    "ami": "an AMI such as ami-0123456789abcdef0",
    "vpc": "'default', 'new' or the id of a VPC, such as vpc-0123456789abcdef0",
    "encryption": "'AES256' or the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)",
    "existing_job_role": "the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)",
}
_IDS = {
    "subnets": re.compile(r"subnet-[0-9a-f]{8,17}"),
    "security_groups": re.compile(r"sg-[0-9a-f]{8,17}"),
    "instance_types": re.compile(r"optimal|default_(x86_64|arm64)|[a-z][a-z0-9-]*(\.[a-z0-9-]+)?"),
    "secrets": re.compile(r"arn:aws[a-z-]*:(secretsmanager|ssm):[a-z0-9-]+:\d{12}:\S+"),
}
_TAG = re.compile(r"[\w\s+=.:/@-]+")


def check_options(options: StackOptions) -> None:
    """Raise ConfigurationError for the first option that is wrong."""
    _check_names(options)
    _check_choices(options)
    _check_numbers(options)
    _check_patterns(options)
    _check_tags(options)
    _check_platform(options)
    _check_existing(options)


def _check_names(options: StackOptions) -> None:
    names.check_stack(options.name)
    for option in ("bucket", "existing_bucket"):
        if (bucket := getattr(options, option)) is not None:
            names.check_bucket(option, bucket)
    if options.repository is not None:
        names.check_repository(options.repository)


def _check_choices(options: StackOptions) -> None:
    _one_of("platform", options.platform, PLATFORMS)
    _one_of("architecture", options.architecture, ARCHITECTURES)
    _one_of("volume_type", options.volume_type, VOLUME_TYPES)
    _one_of("log_days", options.log_days, LOG_DAYS)
    if options.allocation_strategy is not None and options.platform in STRATEGIES:
        valid = STRATEGIES[options.platform]
        _one_of("allocation_strategy", options.allocation_strategy, valid)


def _check_numbers(options: StackOptions) -> None:
    limits = {
        "max_vcpus": (1, 1_000_000),  # first: others are measured by it
        "min_vcpus": (0, options.max_vcpus),
        "desired_vcpus": (options.min_vcpus, options.max_vcpus),
        "spot_percentage": (1, 100),
        "volume_size": (SMALLEST_VOLUME, 16384),
        "priority": (0, 1000),
        "expiry_days": (1, 36500),
        "images": (1, 10000),
    }
    for option, (least, most) in limits.items():
        value = getattr(options, option)
        if value is not None and not least <= value <= most:
            raise wrong(option, value, f"from {least} to {most}")


def _check_patterns(options: StackOptions) -> None:
    for option, pattern in _PATTERNS.items():
        value = getattr(options, option)
        if value is not None and not pattern.fullmatch(value):
            raise wrong(option, value, _EXPECTED[option])
    for option, pattern in _IDS.items():
        for value in getattr(options, option):
            if not pattern.fullmatch(value):
                raise wrong(option, value, f"{option.replace('_', ' ')} as AWS writes them")


def _check_tags(options: StackOptions) -> None:
    if len(options.tags) > MOST_TAGS:
        raise ConfigurationError(f"{len(options.tags)} tags are too many: {MOST_TAGS} at most")
    for key, value in options.tags.items():
        is_key = _TAG.fullmatch(key) and len(key) <= 128 and not key.lower().startswith("aws:")
        if not is_key or key == names.TAG:
            raise wrong(
                "tags",
                key,
                "keys of up to 128 letters, digits, spaces and _.:/=+-@, not beginning with 'aws:' "
                f"and not {names.TAG!r}, which is ours",
            )
        if len(value) > 256 or (value and not _TAG.fullmatch(value)):
            raise wrong("tags", value, "values of up to 256 letters, digits and _.:/=+-@")


def _check_platform(options: StackOptions) -> None:
    if options.family == "fargate":
        _refuse(options, EC2_ONLY, "belongs to instances, which Fargate hides: use platform='ec2'")
    if options.platform == "fargate-spot" and options.architecture == "arm64":
        raise ConfigurationError(
            "Batch has no arm64 on Fargate Spot: use platform='fargate' or architecture='amd64'"
        )
    if options.spot_percentage is not None and options.platform != "spot":
        raise wrong("spot_percentage", options.spot_percentage, "given with platform='spot' only")
    if not options.vpc.startswith("vpc-") and (options.subnets or options.security_groups):
        raise ConfigurationError(
            f"subnets and security groups are in a VPC: give its id with vpc=, not {options.vpc!r}"
        )
    if options.family == "fargate" and options.vpc in ("default", "new") and not options.public_ip:
        raise ConfigurationError(
            "jobs on Fargate in public subnets need public_ip=True: else they reach neither the "
            "image nor the bucket"
        )


def _check_existing(options: StackOptions) -> None:
    if options.existing_queue is not None:
        _refuse(
            options, MADE_WITH_QUEUE, "can't be chosen with existing_queue: it has them already"
        )
    if options.existing_bucket is not None and options.bucket is not None:
        raise ConfigurationError(
            "bucket names the bucket to make, existing_bucket one that is there: give one of them"
        )


def _refuse(options: StackOptions, unset: dict[str, object], why: str) -> None:
    for option, value in unset.items():
        if getattr(options, option) != value:
            raise ConfigurationError(f"{option} {why}")


def _one_of(option: str, value: object, valid: tuple[object, ...]) -> None:
    if value not in valid:
        raise wrong(option, value, f"one of {', '.join(map(repr, valid))}")
