"""Which account and stack a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dask_knot.settings.connection import connection

# Imported when a command runs: `dask --help` reads this file.
if TYPE_CHECKING:
    from dask_knot.aws.session import AwsSession


def open_session(profile: str | None, region: str | None) -> AwsSession:
    """Open a session as the options and the configuration say."""
    from dask_knot.aws.session import open_aws_session

    wanted = connection({"profile": profile, "region": region})
    # Tests hand in another way to open one.
    opener = click.get_current_context().obj or open_aws_session
    session: AwsSession = opener(profile=wanted.profile, region=wanted.region)
    return session


def stack_name(name: str | None) -> str:
    """Give the name of the stack that is meant."""
    return connection({"stack": name}).stack
