"""Names of AWS resources, all from the stack's name, and what AWS lets names be: pure."""

from __future__ import annotations

import re

from dask_knot.settings.awschecks import TAG as TAG
from dask_knot.settings.checks import wrong

OWNER_TAG = "owner"
#: Where contexts of builds lie for minutes, below the prefix: no run can have such a name.
BUILDS = "_builds"

#: Short, since AWS appends to it and roles have 64 characters; lower case, as ECR wants it.
_STACK = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,30}[a-z0-9]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED = re.compile(r"xn--.*|sthree-.*|amzn-s3-demo-.*|.*-s3alias|.*--ol-s3|.*--x-s3")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_REPOSITORY = re.compile(
    r"(?=.{2,256}$)[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*"
)


def queue(stack: str, family: str) -> str:
    """Name the job queue; a queue can't change from EC2 to Fargate, so each has its own name."""
    return f"{stack}-{family}"


def compute_environment(stack: str, family: str, variant: str = "") -> str:
    """Name the compute environment; `variant` differs where AWS can't change one in place."""
    return "-".join(filter(None, (stack, family, variant)))


def log_group(stack: str) -> str:
    """Name the group of the jobs' logs."""
    return f"/dask-knot/{stack}"


def builder(stack: str) -> str:
    """Name the project that builds images in the account."""
    return f"{stack}-builder"


def job_definitions(stack: str) -> str:
    """Give the beginning of the names of all job definitions, as the users' policy has it."""
    return f"{stack}-"


def check_stack(option: str, name: str) -> str:
    """Return a stack's name that is right; `option` is what errors call it.

    Raises
    ------
    ConfigurationError
        If AWS wouldn't take it, or names made from it would be too long.
    """
    if not _STACK.fullmatch(name):
        raise wrong(
            option,
            name,
            "2 to 32 lower case letters, digits and single hyphens, starting with a letter "
            "and not ending with a hyphen",
        )
    return name


def check_bucket(option: str, name: str) -> str:
    """Return a bucket's name that S3 takes, else raise ConfigurationError."""
    is_wrong = _ADDRESS.fullmatch(name) or _RESERVED.fullmatch(name) or ".." in name
    if is_wrong or not _BUCKET.fullmatch(name):
        raise wrong(
            option,
            name,
            "3 to 63 lower case letters, digits, hyphens and dots, starting and ending with "
            "a letter or digit, and neither an IP address nor a name reserved by S3",
        )
    return name


def check_prefix(option: str, prefix: str) -> str:
    """Return the prefix of object names without slashes around it, else raise."""
    bare = prefix.strip("/")
    if not _PREFIX.fullmatch(bare) or len(bare) > 200 or ".." in bare.split("/"):
        raise wrong(option, prefix, "words of letters, digits, '_', '.', '-' with '/' between")
    return bare


def check_repository(option: str, name: str) -> str:
    """Return a repository's name that ECR takes, else raise ConfigurationError."""
    if not _REPOSITORY.fullmatch(name):
        raise wrong(
            option,
            name,
            "2 to 256 lower case letters and digits, with single '.', '_', '-' or '/' between",
        )
    return name
