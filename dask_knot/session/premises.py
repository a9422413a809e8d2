"""Where the jobs of a session are, for processes that have none."""

from __future__ import annotations

from dask_knot.runs.notices import Premises
from dask_knot.session.session import Session


def premises_of(session: Session) -> Premises:
    """Tell where the jobs of a session are."""
    run, settings = session.run, session.settings
    on_aws = settings.aws
    place = ("", "", "") if on_aws is None else (on_aws.stack, on_aws.region, on_aws.profile)
    words = (word or "" for word in place)
    return Premises(run.name, run.store_url, settings.engine, settings.is_named, *words)
