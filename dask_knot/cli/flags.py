"""The options of commands: one table of words, from which click's options are made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import click

from dask_knot.aws.options import StackOptions
from dask_knot.aws.rules import ARCHITECTURES, INSIGHTS, PLATFORMS
from dask_knot.cli.arguments import named_stack

#: What is used where nothing is given, of options whose default is none.
_CHOSEN = {
    "instance_types": "optimal, as in Batch; arm64: c6g, m6g, r6g; GPUs: g4dn, or g5g on arm64",
    "allocation_strategy": "BEST_FIT_PROGRESSIVE; Spot: SPOT_PRICE_CAPACITY_OPTIMIZED",
    "spot_percentage": "100, by Batch",
    "ami": "Batch's own: ECS_AL2023, with GPUs ECS_AL2023_NVIDIA",
    "subnets": "all subnets of the VPC that jobs can run in",
    "security_groups": "a new one",
    "bucket": "a name that CloudFormation makes up",
    "repository": "the stack's name",
    "owner": "who makes the stack: a user or session",
    "volume_key": "the account's",
    "volume_iops": "what the kind of disk has",
    "volume_throughput": "what the kind of disk has",
    "scale_down_delay": "Batch's own",
    "container_insights": "the account's setting",
    "capacity_minutes": "never",
    "remote": "only if Docker doesn't answer here",
    "base": "python:VERSION-slim in the version of Python here; with --conda, micromamba's",
}
_DEFAULTS = {field.name: field.default for field in fields(StackOptions)}

F = TypeVar("F", bound=Callable[..., Any])

#: The options of `up` by the names of `StackOptions`, as in knot.yaml: click's type, and the help.
UP: dict[str, tuple[Any, str]] = {
    "platform": (
        click.Choice(PLATFORMS),
        "What jobs run on; Spot is cheaper, but AWS may reclaim it.",
    ),
    "architecture": (click.Choice(ARCHITECTURES), "The processors that jobs run on."),
    "instance_types": ("list", "Instance types (c6i.xlarge) or families (c6i)."),
    "gpu": (bool, "Whether instances have GPUs."),
    "min_vcpus": (int, "How many vCPUs to keep running: more than 0 costs while idle."),
    "desired_vcpus": (int, "How many vCPUs to start with."),
    "max_vcpus": (int, "How many vCPUs may run at once."),
    "allocation_strategy": (str, "How Batch chooses instances, such as BEST_FIT_PROGRESSIVE."),
    "spot_percentage": (int, "The highest Spot price, in percent of the full price."),
    "ami": (str, "The AMI of the instances."),
    "volume_size": (int, "The size of an instance's disk, in GiB."),
    "volume_type": (str, "The kind of an instance's disk, such as gp3."),
    "key_pair": (str, "An EC2 key pair for the instances."),
    "vpc": (str, "The network: 'default', 'new', or the id of your own VPC."),
    "subnets": ("list", "Subnets of your own VPC, instead of all of them."),
    "security_groups": (
        "list",
        "Security groups of your own VPC, instead of a new one.",
    ),
    "public_ip": (
        bool,
        "Whether jobs on Fargate get a public address, or need a NAT.",
    ),
    "bucket": (str, "The name of the bucket to make, instead of a generated one."),
    "prefix": (str, "The prefix of all objects in the bucket."),
    "encryption": (str, "How the bucket is encrypted: AES256, or the ARN of a KMS key."),
    "repository": (str, "The name of the image repository to make, instead of the stack's."),
    "existing_bucket": (str, "Use this bucket instead of making one."),
    "existing_queue": (str, "Use this job queue instead of making one."),
    "existing_job_role": (str, "Use the role of this ARN for jobs instead of making one."),
    "secrets": ("list", "The ARN of a secret or parameter that jobs may read."),
    "tags": ("pairs", "A tag KEY=VALUE on every resource."),
    "owner": (str, "The tag `owner`, instead of your user name in AWS."),
    "priority": (int, "The priority of the queue."),
    "expiry_days": (int, "After how many days objects are deleted."),
    "log_days": (int, "After how many days logs are deleted."),
    "images": (int, "How many of the newest images to keep."),
    "shell": (
        bool,
        "Let `dask knot shell` enter jobs; whoever may call ecs:ExecuteCommand gets their role.",
    ),
    "remote_build": (
        bool,
        "Whether `dask knot image --remote` can build in the account; it costs nothing while idle.",
    ),
    "on_demand_vcpus": (int, "How many vCPUs to use at full price when Spot has none."),
    "existing_repository": (str, "Use the image repository of this name instead of making one."),
    "existing_execution_role": (
        str,
        "Use the role of this ARN to start jobs instead of making one.",
    ),
    "existing_instance_profile": (
        str,
        "Use the instance profile of this ARN instead of making one.",
    ),
    "existing_launch_template": (
        str,
        "Use this launch template (lt-...:VERSION) instead of making one.",
    ),
    "permissions_boundary": (str, "The ARN of a permissions boundary for every role that is made."),
    "volume_key": (str, "The ARN of the KMS key of the disks, instead of the account's."),
    "volume_iops": (int, "Operations a second of an instance's disk."),
    "volume_throughput": (int, "MiB a second of an instance's disk."),
    "placement_group": (str, "The placement group of the instances."),
    "user_data": ("file", "A file that instances run when they start: a script, or cloud-config."),
    "hop_limit": (int, "2 lets containers reach their instance's metadata, and so its role."),
    "scale_down_delay": (int, "How many minutes an idle instance is kept (which costs)."),
    "container_insights": (
        click.Choice(INSIGHTS),
        "CloudWatch Container Insights, which cost.",
    ),
    "capacity_minutes": (
        int,
        "Cancel a job that has waited so many minutes for machines AWS doesn't have.",
    ),
    "file_systems": (
        "list",
        "A file system of EFS (fs-...) or S3 Files (ARN) that jobs may mount.",
    ),
    "check_network": (
        bool,
        "Whether to check first that jobs can reach AWS from the subnets.",
    ),
}

#: Options that are lists, and are given once for each entry.
SINGULAR = {"tags": "--tag", "secrets": "--secret", "file_systems": "--file-system"}
#: The options of `image` by the names of `ImageSpec`.
IMAGE: dict[str, tuple[Any, str]] = {
    "packages": (
        "--package",
        "A requirement, a requirements file, a git reference, or 'auto' (what SOURCE imports).",
    ),
    "debian": ("--debian", "A Debian package to install."),
    "lines": ("--line", "A line of the Dockerfile, such as 'ENV A=1', after the packages."),
    "base": (str, "The image to start from, with the same Python as here."),
    "conda": (
        str,
        "Install conda's packages with conda: 'here' (as they are now), or an environment.yml.",
    ),
    "dockerfile": (str, "Your own Dockerfile to start from, with its folder."),
    "network": (str, "The network of the build: 'host' where Docker has no other."),
    "remote": (
        bool,
        "Build it in the AWS account instead of with Docker here.",
    ),
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
        if kind in (str, bool):
            run = _option(name, kind, text)(run)
        else:
            text += " Can be given more than once."
            run = click.option(kind, name, multiple=True, help=text)(run)
    return run  # type: ignore[return-value]


def connection_options(command: F) -> F:
    """Give a command the options that say which stack is meant: `name`, `region`, `profile`."""
    options = {
        "--name": ("The name of the stack (knot.aws.stack).", str(_DEFAULTS["name"])),
        "--region": ("The region (knot.aws.region).", "AWS_REGION, or the profile's"),
        "--profile": ("The profile in ~/.aws/config (knot.aws.profile).", "AWS_PROFILE, or none"),
    }
    for flag, (text, shown) in reversed(options.items()):
        check = named_stack if flag == "--name" else None
        text = f"{text}{_told(shown)}"
        command = click.option(flag, default=None, help=text, callback=check)(command)
    return command


def run_options(command: F) -> F:
    """Give a command the options that say where runs are; it gets them as one mapping, `place`."""

    @connection_options
    @functools.wraps(command)
    def run(name: str | None, **options: Any) -> Any:
        names = ("store", "engine", "region", "profile")
        place = {"stack": name, **{one: options.pop(one) for one in names}}
        return command(place=place, **options)

    texts = {
        "--store": "The store of the cluster (knot.store)."
        + _told("where the engine keeps named runs"),
        "--engine": "The engine of the cluster (knot.engine); --name, --region or --profile mean "
        "aws." + _told("local"),
    }
    found: Any = run
    for flag, text in reversed(texts.items()):
        found = click.option(flag, default=None, help=text)(found)
    return found  # type: ignore[no-any-return]


def _option(name: str, kind: Any, text: str) -> Callable[[F], F]:
    flag, told = f"--{name.replace('_', '-')}", _told(_default(name))
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text + told)
    if kind in ("list", "pairs"):
        singular = SINGULAR.get(name, flag)
        is_many = singular != flag
        text += " Can be given more than once." if is_many else " Separated by commas."
        return click.option(singular, name, multiple=is_many, default=None, help=text + told)
    kind = click.File() if kind == "file" else kind
    return click.option(flag, name, type=kind, default=None, help=text + told)


def _told(default: str) -> str:
    """Say the default in words: click itself knows only that nothing is given."""
    return f"  [default: {default}]"


def _default(name: str) -> str:
    """Say what an option is unless it is given, or the configuration has it."""
    default = _DEFAULTS.get(name)
    if isinstance(default, bool):
        return name.replace("_", "-") if default else f"no-{name.replace('_', '-')}"
    if name in _CHOSEN:
        return _CHOSEN[name]
    return "none" if default in (None, (), MISSING) else str(default)


def _value(name: str, value: Any) -> Any:
    kind = UP[name][0]
    if kind == "file" and value is not None:
        return _read(name, value)
    if kind == "list" and isinstance(value, str):
        return tuple(one.strip() for one in value.split(",") if one.strip())
    if kind == "pairs":
        return dict(_pair(one) for one in value or ())
    return value


def _read(name: str, file: Any) -> str:
    try:
        return str(file.read())
    except UnicodeDecodeError:
        flag = f"--{name.replace('_', '-')}"
        raise click.BadParameter(f"{file.name!r} isn't UTF-8 text", param_hint=flag) from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} should be KEY=VALUE", param_hint="--tag")
    return key, value
