"""What a plain installation leaves out, and what is said where it is needed.

Who computes on this machine only needs neither AWS's library nor Docker's. A module that imports
one of them does it in `extra`, so that who lacks it is told what to install.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dask_knot.errors import MissingExtraError

#: What uses an extra, by its name; and the modules that it brings.
USES = {
    "aws": "everything that uses AWS (engine 'aws', `dask knot up`, profiles)",
    "docker": "everything that uses Docker (engine 'docker', building images here)",
}
MODULES = {"boto3": "aws", "botocore": "aws", "s3transfer": "aws", "docker": "docker"}


@contextmanager
def extra() -> Iterator[None]:
    """Import what a plain installation doesn't have.

    Raises
    ------
    MissingExtraError
        If it isn't installed; the message says how it will be.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        name = MODULES.get(module)
        if name is None:
            raise
        raise MissingExtraError(
            f"{USES[name]} needs the package {module}, which is not installed here: "
            f"pip install 'dask_knot[{name}]'"
        ) from error


#: What gives credentials without any file; the files that may name others, and how they do.
_GIVEN = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_FILES = {
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}
_NAMES_CREDENTIALS = re.compile(
    r"^\s*(aws_access_key_id|credential_process|login_session|role_arn|sso_\w+)\s*=", re.MULTILINE
)


def check_needs_no_profile(url: str, environ: Mapping[str, str]) -> None:
    """See that credentials for a bucket don't stand in a profile, which only AWS's library reads.

    Raises
    ------
    MissingExtraError
        If they do; else the bucket's answer would be that there are none.
    """
    if any(environ.get(name) for name in _GIVEN):
        return
    files = [Path(environ.get(name) or there).expanduser() for name, there in _FILES.items()]
    if environ.get("AWS_PROFILE") or any(_names_credentials(file) for file in files):
        raise MissingExtraError(
            f"the credentials for {url} stand in a profile, which AWS's library reads, and the "
            "package boto3 is not installed here: pip install 'dask_knot[aws]', or give them in "
            "variables (AWS_ACCESS_KEY_ID and the others)"
        )


def _names_credentials(file: Path) -> bool:
    try:
        return _NAMES_CREDENTIALS.search(file.read_text("utf-8", "replace")) is not None
    except OSError:
        return False
