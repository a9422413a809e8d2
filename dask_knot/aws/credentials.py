"""Credentials by boto3's standard chain; a code of MFA is asked for once, where somebody sits."""

from __future__ import annotations

import getpass
import sys
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, cast

from dask_knot.aws.refusals import REFUSALS
from dask_knot.errors import CredentialsError
from dask_knot.extras import extra

with extra():
    import boto3
    from botocore.utils import JSONFileCache

#: So long the store keeps credentials before it asks botocore again, which renews them 15 minutes
#: before they expire.
CREDENTIALS_FOR = timedelta(minutes=5)
#: Where AWS's own command line keeps the sessions of roles, and looks for them.
CACHE = Path("~/.aws/cli/cache")


class Keys(NamedTuple):
    """What signs requests."""

    access_key: str
    secret_key: str
    token: str | None


def core_of(boto: boto3.Session) -> Any:
    """Give the session of botocore that is in one of boto3, which hides it."""
    return cast(Any, boto)._session


def keys_of(boto: boto3.Session) -> Keys | None:
    """Give the keys of a session, as they are now; botocore may have to ask for them."""
    credentials = boto.get_credentials()
    if credentials is None:
        return None
    frozen: Any = credentials.get_frozen_credentials()
    return Keys(frozen.access_key, frozen.secret_key, frozen.token)


def no_credentials() -> CredentialsError:
    """Make the error that says how to get credentials."""
    return CredentialsError(
        "there are no AWS credentials: run `aws configure` or `aws sso login`, or set AWS_PROFILE"
    )


def for_obstore(boto: boto3.Session, keys: Keys) -> dict[str, Any]:
    """Give keys as obstore takes them, which asks for others when these have ended."""
    now = datetime.now(timezone.utc)
    # botocore hides when they end; some programs make keys that live for a minute.
    ending = getattr(boto.get_credentials(), "_expiry_time", None)
    until = now + CREDENTIALS_FOR
    if ending is not None:
        left = max(ending.astimezone(timezone.utc) - now, timedelta(0))
        until = min(until, now + left / 2)  # what is signed with them must arrive in time
    return {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.token,
        "expires_at": until
        if ending is None
        else min(until, max(ending.astimezone(timezone.utc), now)),
    }


def keep_sessions(boto: boto3.Session) -> bool:
    """Let a profile with MFA keep its session, and ask for a code only where somebody can type it.

    The session is kept where AWS's command line keeps its own: each takes up that of the other, so
    that a code is asked for once in the life of a session, which is an hour unless the profile says
    otherwise (``duration_seconds``).

    Returns
    -------
    bool
        Whether the profile wants a code.
    """
    core = core_of(boto)
    if not _wants_code(core):
        return False
    provider = core.get_component("credential_provider").get_provider("assume-role")
    provider.cache = JSONFileCache(str(CACHE.expanduser()))
    profile = boto.profile_name

    def ask(prompt: str) -> str:
        # A thread that asks for something waits for ever: nobody knows that it does.
        if threading.current_thread() is not threading.main_thread() or not _is_attended():
            raise CredentialsError(
                f"the profile {profile} needs an MFA code, which can't be entered here: run "
                f"`aws sts get-caller-identity --profile {profile}`, which asks for the code "
                "and keeps you signed in; a running program picks that up"
            )
        return getpass.getpass(prompt)

    provider._prompter = ask
    return True


def sign_in(profile: str | None = None) -> None:
    """Ask for a code of MFA, if a profile wants one: in the thread of whoever sits there.

    What else may be wrong with credentials is told by `open_aws_session`.
    """
    with suppress(*REFUSALS):
        boto = boto3.Session(profile_name=profile)
        if keep_sessions(boto):
            keys_of(boto)


def _is_attended() -> bool:
    """Tell whether somebody can be asked for something: at a terminal, or in a notebook."""
    is_notebook = hasattr(getpass.getpass, "__self__")  # the kernel has put its own there
    return is_notebook or (sys.stdin is not None and sys.stdin.isatty())


def _wants_code(core: Any) -> bool:
    """Tell whether a profile, or one that it takes its credentials from, wants a code of MFA."""
    profiles = core.full_config.get("profiles", {})
    name, seen = core.profile or "default", set()
    while name and name not in seen:
        seen.add(name)
        profile = profiles.get(name, {})
        if "role_arn" in profile and "mfa_serial" in profile:
            return True
        name = profile.get("source_profile")
    return False
