"""Checks of settings that AWS has rules for, as `checks` has them of all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_knot.errors import ConfigurationError
from dask_knot.settings.checks import count, environment, wrong

#: The tag that says of a resource which stack made it.
TAG = "dask-knot"
#: So many a job, or a resource, can have; some are ours.
MOST_TAGS = 40
#: All that a tag may be made of: letters and digits of any language, and these.
TAGGED = r"[\w +=.:/@-]"

_SECRET = r"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:\S+"
#: ARNs of secrets, and of those and parameters.
SECRETS_MANAGER = _SECRET.format(service="secretsmanager")
SECRET = _SECRET.format(service="(secretsmanager|ssm)")


def mapping(name: str, value: Any) -> dict[str, str]:
    """Take a mapping of texts to texts, such as tags."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong(name, value, "a mapping of names to values")
    return {key: str(content) for key, content in value.items()}


def tags(name: str, value: Any, most: int = MOST_TAGS) -> dict[str, str]:
    """Take tags as AWS allows them."""
    found = mapping(name, value)
    for key, content in found.items():
        _check_tag(name, key, content)
    if len(found) > most:
        raise wrong(name, len(found), f"at most {most} tags")
    folded: dict[str, str] = {}
    for key in found:  # IAM tells no two apart that differ in case only
        if (other := folded.setdefault(key.lower(), key)) != key:
            raise ConfigurationError(f"{name}: {other!r} and {key!r} are one tag to AWS")
    return found


def _check_tag(name: str, key: str, content: str) -> None:
    is_key = re.fullmatch(f"{TAGGED}{{1,128}}", key) and not key.lower().startswith("aws:")
    if not is_key or key.lower() == TAG:
        raise wrong(
            name,
            key,
            "keys of up to 128 letters, digits, spaces and _.:/=+-@, not beginning with 'aws:' "
            f"and not {TAG!r}, which is ours",
        )
    is_content = re.fullmatch(f"{TAGGED}{{0,256}}", content)
    if not is_content or content.lower().startswith("aws:"):
        raise wrong(
            name,
            content,
            f"a value of {key!r} of up to 256 letters, digits, spaces and _.:/=+-@, not beginning "
            "with 'aws:'",
        )


def tag_value(text: str) -> str:
    """Make the value of a tag of any text, such as ``bob@example.com, Bob``."""
    words = re.sub(rf"\s*(?:(?!{TAGGED}).)+\s*", " ", text, flags=re.DOTALL)
    return re.sub(r"(?i)^(aws:)+", "", words.strip())[:256].strip()


def priority(name: str, value: object) -> int | None:
    """Take a scheduling priority of Batch, 0 to 9999; or None."""
    if value is None:
        return None
    if count(name, value, least=0) > 9999:
        raise wrong(name, value, "from 0 to 9999 (Batch's limits)")
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
        if not re.fullmatch(SECRET, arn):
            raise wrong(
                name,
                variable,
                "names with ARNs of Secrets Manager or of the Parameter Store "
                "(arn:aws:ssm:REGION:ACCOUNT:parameter/NAME)",
            )
    return found
