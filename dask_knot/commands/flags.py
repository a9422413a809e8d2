"""The options of commands: one table of words, from which click's options are made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dask_knot.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

PLATFORMS = ("ec2", "spot", "fargate", "fargate-spot")
ARCHITECTURES = ("amd64", "arm64")

#: The options of `up` by the names of `StackOptions`, as in knot.yaml: click's type, and the help.
UP: dict[str, tuple[Any, str]] = {
    "platform": (click.Choice(PLATFORMS), "What jobs run on."),
    "architecture": (click.Choice(ARCHITECTURES), "Processors of the jobs."),
    "instance_types": ("list", "Instance types (c6i.xlarge) or families (c6i)."),
    "gpu": (bool, "Instances with GPUs."),
    "min_vcpus": (int, "vCPUs that are kept running: more than 0 costs while idle."),
    "desired_vcpus": (int, "vCPUs to start with."),
    "max_vcpus": (int, "vCPUs at most."),
    "allocation_strategy": (str, "How Batch chooses instances, such as BEST_FIT_PROGRESSIVE."),
    "spot_percentage": (int, "The highest Spot price, in percent of the full price."),
    "ami": (str, "The AMI of the instances."),
    "volume_size": (int, "The disk of an instance, in GiB."),
    "volume_type": (str, "The kind of its disk, such as gp3."),
    "key_pair": (str, "An EC2 key pair for the instances."),
    "vpc": (str, "'default', 'new', or the id of your own."),
    "subnets": ("list", "Subnets of your own VPC; else all of them."),
    "security_groups": ("list", "Security groups of your own VPC; else a new one, with no way in."),
    "public_ip": (bool, "Whether jobs on Fargate get a public address (no: needs a NAT)."),
    "bucket": (str, "Name of the bucket to make; else CloudFormation makes one up."),
    "prefix": (str, "Where in the bucket all objects are."),
    "encryption": (str, "AES256, or the ARN of a KMS key."),
    "repository": (str, "Name of the repository of job images; else the stack's."),
    "existing_bucket": (str, "Use this bucket instead of making one."),
    "existing_queue": (str, "Use this job queue instead of making one."),
    "existing_job_role": (str, "Use the role with this ARN for jobs."),
    "secrets": ("list", "ARNs of secrets and parameters that jobs may read."),
    "tags": ("pairs", "A tag on every resource: KEY=VALUE."),
    "owner": (str, "The tag `owner`; else your user name in AWS."),
    "priority": (int, "Priority of the queue."),
    "expiry_days": (int, "Objects are deleted after so many days."),
    "log_days": (int, "Logs are deleted after so many days."),
    "images": (int, "So many images are kept, the newest."),
}

#: The options of `image` by the names of `ImageSpec`.
IMAGE: dict[str, tuple[Any, str]] = {
    "packages": ("--package", "A requirement, a file of them, a git reference, or 'auto'."),
    "debian": ("--debian", "A Debian package."),
    "lines": ("--line", "A line of the Dockerfile, after the packages."),
    "base": (str, "The image to start from."),
    "dockerfile": (str, "A Dockerfile to start from."),
    "network": (str, "The network while it is built: 'host' where Docker has no other."),
}


def up_options(command: F) -> F:
    """Give a command the options of `up`; it gets them as one mapping, `given`."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        given = {name: _value(name, options.pop(name)) for name in UP}
        return command(given=given, **options)

    for name, (kind, text) in reversed(UP.items()):
        run = _option(name, kind, text)(run)
    return run  # type: ignore[return-value]


def image_options(command: F) -> F:
    """Give a command the options of `image`; it gets them, and SOURCE, as one mapping, `given`."""

    @functools.wraps(command)
    def run(source: str | None, **options: Any) -> Any:
        given = {name: options.pop(name) for name in IMAGE}
        return command(given={"source": source, **given}, **options)

    for name, (kind, text) in reversed(IMAGE.items()):
        if kind is str:
            run = click.option(f"--{name}", default=None, help=text)(run)
        else:
            text += " Can be given more than once."
            run = click.option(kind, name, multiple=True, help=text)(run)
    return run  # type: ignore[return-value]


def connection_options(command: F) -> F:
    """Give a command the options that say which stack is meant: `name`, `region`, `profile`."""
    options = {
        "--name": "Name of the stack (knot.aws.stack).",
        "--region": "Region (knot.aws.region); else that of AWS_REGION or of the profile.",
        "--profile": "Profile of ~/.aws/config (knot.aws.profile).",
    }
    for flag, text in reversed(options.items()):
        command = click.option(flag, default=None, help=text)(command)
    return command


def _option(name: str, kind: Any, text: str) -> Callable[[F], F]:
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    if kind in ("list", "pairs"):
        singular = {"tags": "--tag", "secrets": "--secret"}.get(name, flag)
        more = " Can be given more than once." if singular != flag else " With commas between."
        is_many = singular != flag
        return click.option(singular, name, multiple=is_many, default=None, help=text + more)
    return click.option(flag, name, type=kind, default=None, help=text)


def _value(name: str, value: Any) -> Any:
    kind = UP[name][0]
    if kind == "list" and isinstance(value, str):
        return tuple(one.strip() for one in value.split(",") if one.strip())
    if kind == "pairs":
        return dict(_pair(one) for one in value or ())
    return value


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigurationError(f"--tag {text!r} is wrong: it should be KEY=VALUE")
    return key, value
