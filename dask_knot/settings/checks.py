"""Checks of settings: each takes a name and a value and gives what is meant, or refuses."""

from __future__ import annotations

import difflib
import logging
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dask.utils import parse_bytes, parse_timedelta

from dask_knot.errors import ConfigurationError
from dask_knot.run.names import RUN_NAME
from dask_knot.settings.elsewhere import MEANT

if TYPE_CHECKING:
    from distributed.security import Security

#: Batch takes no shorter timeout.
SHORTEST_TIMEOUT = 60.0
#: Leaves it to what is known of tasks.
AUTO = "auto"
#: Dask shows each of them as a worker.
MOST_JOBS = 100_000


def check_names(given: Iterable[str], known: Collection[str], complaint: str) -> None:
    """Refuse the first name that isn't known, with the one that may have been meant."""
    for name in given:
        if name not in known:
            close = [
                MEANT.get(name.replace("-", "_"), ""),
                *difflib.get_close_matches(name, known, n=1),
            ]
            meant = next((one for one in close if one in known), None)
            hint = f" Did you mean {meant!r}?" if meant else ""
            raise ConfigurationError(
                f"{complaint} {name!r}.{hint} There are: {', '.join(sorted(known))}"
            )


def wrong(name: str, value: object, expected: str) -> ConfigurationError:
    """Make the error for a value that is not what is expected."""
    return ConfigurationError(f"{name}={value!r} is wrong: it should be {expected}")


def one_of(name: str, value: object, valid: tuple[str, ...]) -> str:
    """Take one of the valid texts."""
    if value not in valid:
        raise wrong(name, value, f"one of {', '.join(map(repr, valid))}")
    return str(value)


def count(name: str, value: object, least: int = 1) -> int:
    """Take a whole number from `least` on."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(name, value, f"a whole number of at least {least}")
    return value


def automatic(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Make a check that takes "auto" as well: it is chosen by what is known of tasks."""
    return lambda name, value: AUTO if value == AUTO else check(name, value)


def samples(name: str, value: object) -> int | None:
    """Take a number of tasks, or None."""
    return None if value is None else count(name, value)


def jobs(name: str, value: object) -> int | None:
    """Take a number of jobs, or None."""
    if value is not None and count(name, value) > MOST_JOBS:
        raise wrong(name, value, f"at most {MOST_JOBS:,}")
    return None if value is None else count(name, value)


def gpus(name: str, value: object) -> int:
    """Take a whole number from 0 on."""
    return count(name, value, least=0)


def attempts(name: str, value: object, least: int = 1) -> int:
    """Take as many attempts as Batch allows, or as many doublings of what a job has."""
    if count(name, value, least) > 10:
        raise wrong(name, value, f"from {least} to 10" + (", as in Batch" if least else ""))
    return count(name, value, least)


def factor(name: str, value: Any) -> float | None:
    """Take a number above 1, or None; the environment and files may have it as a text."""
    if value is None:
        return None
    try:
        found = float(value)  # of True it is 1
    except (TypeError, ValueError):
        found = 0.0
    if not 1 < found < math.inf:
        raise wrong(name, value, "a number above 1, or None to turn it off")
    return found


def memory(name: str, value: Any) -> int | None:
    """Take an amount of memory, in bytes; or None."""
    if value is None:
        return None
    try:
        size = parse_bytes(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        size = 0
    if size < 2**20:
        raise wrong(name, value, 'an amount of memory of at least 1 MiB, such as "4 GiB"')
    return int(size)


def size(name: str, value: Any) -> int:
    """Take a number of bytes; nothing, too."""
    try:
        found = -1 if isinstance(value, bool) else int(parse_bytes(value))
    except (ValueError, TypeError, AttributeError, OverflowError):
        found = -1
    if found < 0:
        raise wrong(name, value, 'an amount of bytes such as "100 MiB", or 0')
    return found


def share(name: str, value: Any) -> float:
    """Take a share up to 1 of something, or bytes of it; 0 is nothing."""
    try:
        found = -1.0 if isinstance(value, bool) else float(value)
    except (ValueError, TypeError):
        found = math.inf  # bytes, perhaps
    if 0 <= found <= 1:
        return found
    try:
        return size(name, value if found > 1 else None)
    except ConfigurationError:
        raise wrong(name, value, 'a share such as 0.5, bytes such as "2 GiB", or 0') from None


def dollars(name: str, value: object) -> float | None:
    """Take an amount of US dollars; or None."""
    if value is None:
        return None
    number = r"\d+(?:\.\d*)?|\.\d+" if isinstance(value, str) else r"\S+"  # 1e-05 is a float, too
    text = rf"\$?\s*({number})\s*(?:usd|\$|dollars?)?"
    written = re.fullmatch(text, str(value).strip().lower())
    try:
        found = float(written[1]) if written and not isinstance(value, bool) else 0.0
    except ValueError:
        found = 0.0
    if not 0 < found < math.inf:  # nan, too
        raise wrong(name, value, 'US dollars above 0, such as "5 USD"')
    return found


def bandwidth(name: str, value: Any) -> int:
    """Take bytes a second."""
    try:
        return int(memory(name, value) or 0)
    except ConfigurationError:
        text = 'at least 1 MiB a second, such as "100 MB"'
        raise wrong(name, value, text) from None


def seconds(name: str, value: Any) -> float:
    """Take a time, in seconds."""
    if isinstance(value, str):
        value = re.sub(r"(?<![a-z])mins?\s*$", "minutes", value)  # Dask knows all but this one
    try:
        found = float(parse_timedelta(value, default="s"))
    except (ValueError, TypeError, KeyError, AttributeError):
        found = -1.0
    if found < 0:
        raise wrong(name, value, 'a time, such as "500ms" or "2 hours"')
    return found


def duration(name: str, value: Any) -> float | None:
    """Take the seconds that a task takes; or None, if that isn't known."""
    return None if value is None else seconds(name, value)


def timeout(name: str, value: Any) -> float | None:
    """Take a time that Batch accepts as a timeout; or None."""
    if value is None:
        return None
    limit = seconds(name, value)
    if limit < SHORTEST_TIMEOUT:
        raise wrong(name, value, "at least 60 seconds: Batch has no shorter timeout")
    return limit


def start_timeout(name: str, value: Any) -> float | None:
    """Take a time after which jobs that have not started are given up; or None."""
    limit = None if value is None else seconds(name, value)
    if limit == 0:
        raise wrong(name, value, "a time in which a job can start, or None to wait forever")
    return limit


def names(name: str, value: object) -> tuple[str, ...]:
    """Take a list of modules."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise wrong(name, value, "a list of modules")
    return tuple(value)


def flag(name: str, value: object) -> bool:
    """Take True or False."""
    if not isinstance(value, bool):
        raise wrong(name, value, "True or False")
    return value


def security(name: str, value: object) -> Security:
    """Take what secures Dask's connections: True makes a certificate, None leaves them plain."""
    from distributed.security import Security  # `dask knot --help` can't wait for all of Dask's

    if value is True:
        return Security.temporary()
    if value and not isinstance(value, Security):
        raise wrong(name, value, "True, or a distributed.Security")
    return value or Security()


def log_level(name: str, value: object) -> int:
    """Take a level of `logging` as number or name; True is a warning, and nothing is 0."""
    level = logging.getLevelName(value.upper()) if isinstance(value, str) else value or 0
    if not isinstance(level, int):
        raise wrong(name, value, 'a level of logging, such as logging.ERROR or "error"')
    return logging.WARNING if level is True else level


def run_name(name: str, value: object) -> str | None:
    """Take the name of a run; or None."""
    if value is None:
        return None
    if not isinstance(value, str) or not RUN_NAME.fullmatch(value):
        raise wrong(
            name, value, "letters, digits, - and _, at most 80, beginning with a letter or digit"
        )
    return value


def environment(name: str, value: Any) -> dict[str, str]:
    """Take environment variables."""
    valid = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    if not isinstance(value, Mapping):
        raise wrong(name, value, "a mapping of names to values")
    for variable in value:
        if not valid.fullmatch(str(variable)) or str(variable).startswith("AWS_BATCH"):
            raise wrong(
                name, variable, "names of letters, digits and _, not beginning with AWS_BATCH"
            )
    for content in value.values():
        if content is None or "\0" in str(content):
            raise wrong(name, content, "strings without null characters")
    return {str(variable): str(content) for variable, content in value.items()}


def store(name: str, value: Any) -> str | None:
    """Take a folder or URL; or None."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise wrong(name, value, "a folder or a URL such as s3://bucket/prefix")
    return str(os.fspath(value))


def text(name: str, value: object) -> str:
    """Take a text that isn't empty."""
    if not isinstance(value, str) or not value:
        raise wrong(name, value, "a text")
    return value


def optional_text(name: str, value: object) -> str | None:
    """Take a text that isn't empty; or None."""
    return None if value is None else text(name, value)
