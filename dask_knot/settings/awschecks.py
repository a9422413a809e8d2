"""Checks of settings that AWS has rules for, as `checks` has them of all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_knot.settings.checks import count, environment, wrong


def mapping(name: str, value: Any) -> dict[str, str]:
    """Take a mapping of texts to texts, such as tags."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise wrong(name, value, "a mapping of names to values")
    return {key: str(content) for key, content in value.items()}


def tags(name: str, value: Any) -> dict[str, str]:
    """Take tags as AWS allows them."""
    found = mapping(name, value)
    for key, content in found.items():
        if key.lower().startswith("aws:") or len(key) > 128 or len(content) > 256:
            raise wrong(
                name, key, "tags of at most 128 and values of at most 256 letters, not aws:..."
            )
    if len(found) > 40:  # AWS takes 50, of which the stack needs some
        raise wrong(name, len(found), "at most 40 tags")
    return found


def priority(name: str, value: object) -> int | None:
    """Take a scheduling priority of Batch, 0 to 9999; or None."""
    if value is None:
        return None
    if count(name, value, least=0) > 9999:
        raise wrong(name, value, "from 0 to 9999, as Batch has it")
    return count(name, value, least=0)


def share_identifier(name: str, value: object) -> str | None:
    """Take a share identifier of Batch; or None."""
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9]{1,255}", value):
        raise wrong(name, value, "letters and digits, at most 255")
    return value


def secrets(name: str, value: Any) -> dict[str, str]:
    """Take environment variables and the ARNs of what they hold: never the secret itself."""
    found = environment(name, value)
    for variable, arn in found.items():
        if not re.match(r"arn:aws[a-z-]*:(secretsmanager|ssm):", arn):
            raise wrong(
                name,
                variable,
                "names with ARNs of Secrets Manager or of the Parameter Store (arn:aws:ssm:...)",
            )
    return found
