"""Limits of the processes in a container, as `ulimit` and Docker have them: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.utils import parse_bytes

from dask_knot.settings.checks import check_names, wrong

#: Limits by name: whether they are bytes.
NAMES = {
    **dict.fromkeys(("core", "data", "fsize", "memlock", "msgqueue", "rss", "stack"), True),
    **dict.fromkeys(("cpu", "locks", "nice", "nofile", "nproc", "rtprio", "rttime"), False),
    "sigpending": False,
}
UNLIMITED = -1


def ulimits(name: str, value: Any) -> dict[str, Any]:
    """Take limits by name: a number, a size, ``soft:hard``, or ``unlimited``."""
    if not isinstance(value, Mapping):
        raise wrong(name, value, 'limits by their names, such as {"nofile": 65536}')
    check_names(map(str, value), NAMES, f"{name}: there is no limit")
    return {"ulimits": [_one(name, str(limit), said) for limit, said in value.items()]}


def _one(name: str, limit: str, said: Any) -> dict[str, Any]:
    where = f"{name}.{limit}"
    soft, colon, hard = str(said).partition(":")
    if isinstance(said, bool) or (colon and not hard):
        raise wrong(where, said, _EXPECTED)
    low = _number(where, said, soft, NAMES[limit])
    high = _number(where, said, hard, NAMES[limit]) if colon else low
    if high != UNLIMITED and (low > high or low == UNLIMITED):
        raise wrong(where, said, "a soft limit, and a hard one that isn't lower")
    return {"name": limit, "softLimit": low, "hardLimit": high}


_EXPECTED = 'a whole number, a size such as "64 MiB", "1024:4096" (soft and hard), or "unlimited"'


def _number(where: str, said: Any, text: str, is_bytes: bool) -> int:
    text = text.strip()
    if text.lower() in ("unlimited", "-1"):
        return UNLIMITED
    try:
        found = parse_bytes(text) if is_bytes else int(text)
    except ValueError:
        found = -1
    if found < 0:
        raise wrong(where, said, _EXPECTED)
    return int(found)
