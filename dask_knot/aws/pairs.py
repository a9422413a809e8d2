"""Options of a stack that don't go together, and those that need each other: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_knot.aws.rules import (
    IOPS,
    LARGEST_STANDARD,
    SMALLEST_VOLUME,
    STRATEGIES,
    THROUGHPUT_PER_IOPS,
    between,
    strategy,
)
from dask_knot.errors import ConfigurationError
from dask_knot.settings.checks import wrong

#: What stands in the launch template that a stack makes, by the value that isn't given.
LAUNCH = {
    "volume_key": None,
    "volume_iops": None,
    "volume_throughput": None,
    "key_pair": None,
    "user_data": None,
    "hop_limit": 1,
}
#: What means nothing on Fargate.
EC2_ONLY = {
    "instance_types": (),
    "gpu": False,
    "min_vcpus": 0,
    "desired_vcpus": None,
    "allocation_strategy": None,
    "ami": None,
    "existing_instance_profile": None,
    "existing_launch_template": None,
    "placement_group": None,
    "scale_down_delay": None,
    **LAUNCH,
}
#: What means nothing beside a queue that is there already.
MADE_WITH_QUEUE = {
    **EC2_ONLY,
    "spot_percentage": None,
    "on_demand_vcpus": 0,
    "subnets": (),
    "security_groups": (),
    "container_insights": None,
    "capacity_minutes": None,
}
#: What belongs to something that the stack makes, unless it is told to use one that is there.
MADE_WITH: Mapping[str, dict[str, object]] = {
    "existing_bucket": {"bucket": None},
    "existing_repository": {"repository": None, "images": 20},
    "existing_execution_role": {"secrets": ()},
    "existing_job_role": {"file_systems": ()},
    "existing_launch_template": {**LAUNCH, "volume_size": 50, "volume_type": "gp3"},
}
#: Why not, where it doesn't go without saying.
INSTEAD = {
    "existing_execution_role": "which needs permission to read them",
    "existing_job_role": "which needs permission to mount them",
}


def check_pairs(options: Any) -> None:
    """Refuse options that don't go together.

    Parameters
    ----------
    options : StackOptions
        Each of them is right by itself.

    Raises
    ------
    ConfigurationError
        With both of them, and what to do.
    """
    _check_vcpus(options)
    _check_platform(options)
    _check_network(options)
    _check_existing(options)
    _check_volume(options)


def _check_vcpus(options: Any) -> None:
    between(0, options.max_vcpus)("min_vcpus", options.min_vcpus)
    if options.desired_vcpus is not None:
        between(options.min_vcpus, options.max_vcpus)("desired_vcpus", options.desired_vcpus)


def _check_platform(options: Any) -> None:
    if options.allocation_strategy is not None and options.platform in STRATEGIES:
        strategy(options.platform)("allocation_strategy", options.allocation_strategy)
    if options.family == "fargate":
        _refuse(
            options,
            EC2_ONLY,
            "is an option of instances, which Fargate doesn't have: use platform='ec2'",
        )
    if options.platform == "fargate-spot" and options.architecture == "arm64":
        raise ConfigurationError(
            "Batch doesn't offer arm64 on Fargate Spot: use platform='fargate' or "
            "architecture='amd64'"
        )
    if options.spot_percentage is not None and options.platform != "spot":
        raise wrong("spot_percentage", options.spot_percentage, "given only with platform='spot'")
    if options.on_demand_vcpus and not options.is_spot:
        raise wrong(
            "on_demand_vcpus",
            options.on_demand_vcpus,
            "given only with platform='spot' or 'fargate-spot', whose jobs it takes when "
            "Spot has no room",
        )


def _check_network(options: Any) -> None:
    if not options.vpc.startswith("vpc-") and (options.subnets or options.security_groups):
        raise ConfigurationError(
            "subnets and security groups belong to a VPC: give its id with vpc=, not "
            f"{options.vpc!r}"
        )
    if options.family == "fargate" and options.vpc in ("default", "new") and not options.public_ip:
        raise ConfigurationError(
            "jobs on Fargate in public subnets need public_ip=True: without it they can "
            "reach neither the image nor the bucket"
        )


def _check_existing(options: Any) -> None:
    if options.existing_queue is not None:
        _refuse(
            options,
            MADE_WITH_QUEUE,
            "can't be given with existing_queue, which already has its own",
        )
    for existing, unset in MADE_WITH.items():
        if getattr(options, existing) is not None:
            why = INSTEAD.get(existing, "which exists already and isn't changed")
            _refuse(options, unset, f"can't be given with {existing}, {why}: give one or the other")


def _check_volume(options: Any) -> None:
    """Refuse what EC2 would refuse when the first instance starts, which nobody sees."""
    kind, iops, throughput = options.volume_type, options.volume_iops, options.volume_throughput
    if kind == "standard":
        between(SMALLEST_VOLUME, LARGEST_STANDARD)("volume_size", options.volume_size)
    if kind in ("io1", "io2") and iops is None:
        raise ConfigurationError(f"a disk of type {kind} needs a speed: give volume_iops")
    if iops is not None:
        if kind not in IOPS:
            raise wrong("volume_iops", iops, f"given only with volume_type {', '.join(IOPS)}")
        least, most, each = IOPS[kind]
        between(least, max(least, min(most, each * options.volume_size)))("volume_iops", iops)
    if throughput is not None:
        if kind != "gp3":
            raise wrong("volume_throughput", throughput, "given only with volume_type gp3")
        between(125, int((iops or IOPS[kind][0]) * THROUGHPUT_PER_IOPS))(
            "volume_throughput", throughput
        )


def _refuse(options: Any, unset: Mapping[str, object], why: str) -> None:
    for option, value in unset.items():
        if getattr(options, option) != value:
            raise ConfigurationError(f"{option} {why}")
