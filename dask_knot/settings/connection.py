"""The connection to AWS: which stack, in which region, as whom; all that speak to AWS ask here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dask_knot.settings import checks
from dask_knot.settings.defaults import DEFAULTS
from dask_knot.settings.resolver import (
    Check,
    SettingSource,
    is_none,
    keywords,
    resolved,
    section,
    underscored,
)

#: Cheap to import: `dask knot` says at once which stack it looks for.
CONNECTION_CHECKS: dict[str, Check] = {
    "stack": checks.text,
    "region": checks.optional_text,
    "profile": checks.optional_text,
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A stack, and the region and profile to ask for it; None leaves these to boto3."""

    stack: str
    region: str | None = None
    profile: str | None = None


def connection(given: Mapping[str, str | None] | None = None) -> Connection:
    """Merge what is given with the configuration (``knot.aws``), and check it.

    Parameters
    ----------
    given : mapping of str to str, optional
        By the names of `Connection`; None, or an empty text, means that the configuration decides.

    Raises
    ------
    ConfigurationError
        If a value is wrong; the message says where it came from.
    """
    said = keywords({name: value or None for name, value in (given or {}).items()}, "")
    packaged = SettingSource(underscored(DEFAULTS["aws"]))
    return Connection(**resolved(CONNECTION_CHECKS, said, section("knot.aws", is_none), packaged))
