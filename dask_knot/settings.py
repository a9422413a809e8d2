"""All settings, merged once: keyword before dask.config (file, environment) before knot.yaml."""

from __future__ import annotations

import difflib
import os
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import dask
import yaml
from dask.system import CPU_COUNT
from dask.utils import parse_bytes, parse_timedelta
from distributed.system import MEMORY_LIMIT

from dask_knot.errors import ConfigurationError
from dask_knot.store.names import RUN_NAME

DEFAULTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("knot.yaml").read_text())["knot"]
ENGINES = ("local",)
#: Batch takes no shorter timeout.
SHORTEST_TIMEOUT = 60.0


def reconfigure() -> None:
    """Put the packaged defaults into dask.config (again): somebody may have wiped them."""
    dask.config.update_defaults({"knot": DEFAULTS})


@dataclass(frozen=True, slots=True)
class Tempo:
    """Numbers that depend on the engine: seconds, and `shards_per_slot`."""

    gather_quiet: float
    gather_longest: float
    poll_fastest: float
    poll_slowest: float
    patience: float
    target: float
    job_start: float
    unknown_task: float
    shards_per_slot: int
    preload: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a cluster is made with; ``knot.yaml`` says what each one means.

    `memory` is in bytes, times are in seconds.
    """

    engine: str
    name: str
    is_named: bool
    jobs: int
    cores: int
    processes: bool
    memory: int
    gpus: int
    timeout: float | None
    attempts: int
    environment: Mapping[str, str]
    store: str | None
    host: str
    dashboard_address: str | None
    part_interval: float
    tempo: Tempo


def resolve(given: Mapping[str, Any]) -> Settings:
    """Merge keywords with the configuration, and check everything.

    Parameters
    ----------
    given : mapping of str to Any
        Keywords of `KnotCluster`; None means that the configuration decides.

    Raises
    ------
    ConfigurationError
        If a name is unknown or a value is wrong; the message names the valid ones.
    """
    reconfigure_if_wiped()
    configured = dask.config.get("knot")
    known = [name.replace("-", "_") for name in DEFAULTS if name not in ENGINES]
    _check_names(given, known, "KnotCluster takes no argument")
    _check_names(
        {name.replace("-", "_"): None for name in configured},
        [*known, *ENGINES],
        "the configuration has no setting knot.",
    )
    merged = {name: configured.get(name.replace("_", "-")) for name in known}
    merged |= {name: configured[name] for name in known if name in configured}
    merged |= {name: value for name, value in given.items() if value is not None}
    if "dashboard_address" in given:  # here None says something: no dashboard
        merged["dashboard_address"] = given["dashboard_address"]
    engine = _one_of("engine", merged["engine"], ENGINES)
    values = {name: _CHECKS[name](name, merged[name]) for name in _CHECKS}
    cores = values["cores"]
    jobs = values.pop("jobs") or max(1, CPU_COUNT // cores)
    memory = values.pop("memory") or max(1, MEMORY_LIMIT // jobs)
    is_named = values["name"] is not None
    name = values.pop("name") or f"knot-{uuid.uuid4().hex[:10]}"
    return Settings(
        engine=engine,
        name=name,
        is_named=is_named,
        jobs=jobs,
        memory=memory,
        tempo=_tempo(engine, configured.get(engine, {})),
        **values,
    )


def reconfigure_if_wiped() -> None:
    """Restore the defaults when a test or a user's reset has taken them away."""
    if dask.config.get("knot.local", None) is None:
        reconfigure()


def _tempo(engine: str, configured: Mapping[str, Any]) -> Tempo:
    if not isinstance(configured, Mapping):
        raise _wrong(engine, configured, "a mapping of settings, as in knot.yaml")
    known = {field.name for field in fields(Tempo)}
    given = {name.replace("-", "_"): value for name, value in configured.items()}
    _check_names(given, sorted(known), f"the configuration has no setting knot.{engine}.")
    default = {name.replace("-", "_"): value for name, value in DEFAULTS[engine].items()}
    merged = default | given
    preload = _names(f"{engine}.preload", merged.pop("preload") or [])
    per_slot = _count(f"{engine}.shards-per-slot", merged.pop("shards_per_slot"))
    times = {name: _seconds(f"{engine}.{name}", value) for name, value in merged.items()}
    return Tempo(preload=preload, shards_per_slot=per_slot, **times)


def _check_names(given: Mapping[str, Any], known: list[str], complaint: str) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(
                f"{complaint} {name!r}.{hint} There are: {', '.join(sorted(known))}"
            )


def _wrong(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name}={value!r} is wrong: it should be {expected}")


def _one_of(name: str, value: object, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise _wrong(name, value, f"one of {', '.join(map(repr, valid))}")
    return str(value)


def _count(name: str, value: object, least: int = 1) -> int:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(name, value, f"a whole number from {least} on")
    return value


def _optional_count(name: str, value: object) -> int | None:
    return None if value is None else _count(name, value)


def _gpus(name: str, value: object) -> int:
    return _count(name, value, least=0)


def _attempts(name: str, value: object) -> int:
    if _count(name, value) > 10:
        raise _wrong(name, value, "from 1 to 10, as Batch has it")
    return _count(name, value)


def _bytes(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        size = parse_bytes(value)
    except (ValueError, TypeError, AttributeError):
        size = 0
    if size < 2**20:
        raise _wrong(name, value, 'an amount of memory from 1 MiB on, such as "4 GiB"')
    return int(size)


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(parse_timedelta(value, default="s"))
    except (ValueError, TypeError, KeyError, AttributeError):
        seconds = -1.0
    if seconds < 0:
        raise _wrong(name, value, 'a time, such as "500ms" or "2 hours"')
    return seconds


def _timeout(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = _seconds(name, value)
    if seconds < SHORTEST_TIMEOUT:
        raise _wrong(name, value, "60 seconds at least: Batch takes no shorter timeout")
    return seconds


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise _wrong(name, value, "a list of modules")
    return tuple(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def _run_name(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not RUN_NAME.fullmatch(value):
        raise _wrong(
            name, value, "letters, digits, - and _, at most 80, beginning with a letter or digit"
        )
    return value


def _environment(name: str, value: Any) -> dict[str, str]:
    valid = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a mapping of names to values")
    for variable in value:
        if not valid.fullmatch(str(variable)) or str(variable).startswith("AWS_BATCH"):
            raise _wrong(
                name, variable, "names of letters, digits and _, not beginning with AWS_BATCH"
            )
    return {str(variable): str(content) for variable, content in value.items()}


def _store(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise _wrong(name, value, "a folder or a URL such as s3://bucket/prefix")
    return str(os.fspath(value))


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(name, value, "a text")
    return value


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "name": _run_name,
    "jobs": _optional_count,
    "cores": _count,
    "processes": _flag,
    "memory": _bytes,
    "gpus": _gpus,
    "timeout": _timeout,
    "attempts": _attempts,
    "environment": _environment,
    "store": _store,
    "host": _text,
    "dashboard_address": _optional_text,
    "part_interval": _seconds,
}
