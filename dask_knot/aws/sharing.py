"""One session for all that ask alike: each takes a tenth of a second, and credentials anew."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.extras import extra

with extra():
    import boto3

#: Where the data of somebody who names no region are likely to be.
OLDEST = "us-east-1"

#: By what AWS's variables and files are, and who asks: more than one asks in turn.
_shared: dict[tuple[object, ...], dict[tuple[object, ...], AwsSession]] = {}
_sharing = threading.Lock()


def shared_aws_session(profile: str | None = None, region: str | None = None) -> AwsSession:
    """Give one session to all that ask with the same profile, region and settings of AWS.

    Parameters and errors are those of `open_aws_session`. A session is never closed; there is
    another one when a variable or a file of AWS's own has changed.
    """
    return _one_for_all(open_aws_session, profile, region)


def anonymous_session(profile: str | None = None, region: str | None = None) -> AwsSession:
    """Give a session that has no credentials: it says where open data are, and nothing else."""
    return _one_for_all(_without_credentials, profile, region or os.environ.get("AWS_REGION"))


def _one_for_all(
    open_one: Callable[[str | None, str | None], AwsSession],
    profile: str | None,
    region: str | None,
) -> AwsSession:
    variables = sorted((name, value) for name, value in os.environ.items() if name[:4] == "AWS_")
    names = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
    files = [os.environ.get(name, f"~/.aws/{file}") for name, file in names.items()]
    settings = (*variables, *(_changed(os.path.expanduser(file)) for file in files))
    wanted = (open_one, profile, region)
    with _sharing:
        if settings not in _shared:
            _shared.clear()  # the settings of one process seldom change, and never back
        known = _shared.setdefault(settings, {})
        if wanted not in known:
            known[wanted] = open_one(profile, region)
        return known[wanted]


def _without_credentials(profile: str | None, region: str | None) -> AwsSession:
    found = boto3.Session(profile_name=profile, region_name=region)
    is_named = bool(found.region_name)
    return AwsSession(
        found if is_named else boto3.Session(profile_name=profile, region_name=OLDEST)
    )


def _changed(file: str) -> float:
    """Tell when a file was changed; there may be none."""
    try:
        return os.stat(file).st_mtime
    except OSError:
        return 0.0
