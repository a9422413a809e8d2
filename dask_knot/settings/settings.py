"""All settings, merged once: keyword before dask.config (file, environment) before knot.yaml."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import dask
import yaml
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from dask_knot.errors import ConfigurationError
from dask_knot.settings import checks

_FILE = Path(__file__).parents[1] / "knot.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(_FILE.read_text())["knot"]
ENGINES = ("local", "docker", "aws")
#: What stands under `knot` and is no keyword of a cluster: engines, and the image of their jobs.
SECTIONS = (*ENGINES, "build")
#: Memory of a job on AWS, for each of its vCPUs: instances of every family have it, and Fargate.
AWS_MEMORY_PER_CORE = 2 * 2**30


def reconfigure() -> None:
    """Put the packaged defaults into dask.config (again): somebody may have wiped them."""
    dask.config.update_defaults({"knot": DEFAULTS})


def has_folder() -> bool:
    """Whether Dask's configuration has a folder: without a home, its name begins with a ``~``."""
    return not dask.config.PATH.startswith("~")


def ensure_file() -> None:
    """Put the defaults, commented out, where the user can change them: ~/.config/dask/knot.yaml.

    A file that is there stays; where none can be written, none is.
    """
    if not has_folder():
        return
    dask.config.ensure_file(source=str(_FILE))


@dataclass(frozen=True, slots=True)
class Tempo:
    """Numbers that depend on the engine: seconds, and `shards_per_slot`."""

    gather_quiet: float
    gather_longest: float
    poll_fastest: float
    poll_slowest: float
    patience: float
    stuck_after: float
    target: float
    job_start: float
    unknown_task: float
    shards_per_slot: int
    progress_after: float
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """What only engine "docker" has."""

    image: str | None


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What only engine "aws" has: where jobs are sent, and as what they run."""

    stack: str
    region: str | None
    profile: str | None
    image: str | None
    queue: str | None
    job_role: str | None
    share_identifier: str | None
    scheduling_priority: int | None
    secrets: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a cluster is made with; ``knot.yaml`` says what each one means.

    `memory` is in bytes, times are in seconds. `jobs` is 0 when the engine is to say how many.
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
    progress: bool
    tempo: Tempo
    docker: DockerSettings | None = None
    aws: AwsSettings | None = None


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
    configured = _underscored(dask.config.get("knot"))
    checks.check_names(
        configured, ["engine", *_CHECKS, *SECTIONS], "under knot the configuration has no setting"
    )
    keywords = {name: value for name, value in given.items() if value is not None}
    engine = checks.one_of("engine", keywords.get("engine", configured["engine"]), ENGINES)
    own = _ENGINE_CHECKS[engine]
    _refuse_other_engines(given, engine)
    checks.check_names(given, ["engine", *_CHECKS, *own], "KnotCluster takes no argument")
    merged = configured | keywords
    if "dashboard_address" in given:  # here None says something: no dashboard
        merged["dashboard_address"] = given["dashboard_address"]
    values = {name: check(name, merged[name]) for name, check in _CHECKS.items()}
    section = _section(engine, configured.get(engine, {}))
    chosen = {
        name: check(name if name in keywords else f"{engine}.{name}", keywords.get(name, default))
        for (name, check), default in zip(own.items(), map(section.pop, own), strict=True)
    }
    kind = _ENGINE_SETTINGS.get(engine)
    return Settings(
        engine=engine,
        **_sized(engine, values),
        tempo=_tempo(engine, section),
        **({engine: kind(**chosen)} if kind else {}),
    )


def reconfigure_if_wiped() -> None:
    """Restore the defaults when a test or a user's reset has taken them away."""
    if dask.config.get("knot.local", None) is None:
        reconfigure()


def _sized(engine: str, values: dict[str, Any]) -> dict[str, Any]:
    """Settle the size and the number of jobs, and the name of the run."""
    name, cores, is_local = values["name"], values["cores"], engine != "aws"
    jobs = values["jobs"] or (max(1, CPU_COUNT // cores) if is_local else 0)
    share = max(1, MEMORY_LIMIT // jobs) if is_local else cores * AWS_MEMORY_PER_CORE
    return values | {
        "jobs": jobs,
        "memory": values["memory"] or share,
        "name": name or f"knot-{uuid.uuid4().hex[:10]}",
        "is_named": name is not None,
    }


def _section(engine: str, configured: Any) -> dict[str, Any]:
    """Give the settings under an engine's name: those of configuration, then the defaults."""
    if not isinstance(configured, Mapping):
        raise checks.wrong(engine, configured, "a mapping of settings, as in knot.yaml")
    default, found = _underscored(DEFAULTS[engine]), _underscored(configured)
    checks.check_names(
        found, sorted(default), f"under knot.{engine} the configuration has no setting"
    )
    return {name: value for name, value in (default | found).items() if name not in _COMMANDS}


def _tempo(engine: str, section: dict[str, Any]) -> Tempo:
    preload = checks.names(f"{engine}.preload", section.pop("preload", None) or [])
    per_slot = checks.count(f"{engine}.shards-per-slot", section.pop("shards_per_slot"))
    times = {
        name: checks.seconds(f"{engine}.{name}", value)
        for name, value in section.items()
        if name in _TEMPO
    }
    return Tempo(preload=preload, shards_per_slot=per_slot, **times)


def _refuse_other_engines(given: Mapping[str, Any], engine: str) -> None:
    """Refuse an argument that belongs to another engine, and say to which."""
    for other, own in _ENGINE_CHECKS.items():
        for name in given:
            if name in own and name not in _ENGINE_CHECKS[engine]:
                raise ConfigurationError(
                    f"KnotCluster(engine={engine!r}) takes no argument {name!r}: it is one of "
                    f"engine={other!r}"
                )


def _underscored(configured: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings the names of keywords; a name that has them already came from later on."""
    found = {name.replace("-", "_"): value for name, value in configured.items()}
    return found | {name: value for name, value in configured.items() if "-" not in name}


_TEMPO = {field.name for field in fields(Tempo)}
#: Sections below an engine's that belong to the command line.
_COMMANDS = ("up",)

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "name": checks.run_name,
    "jobs": checks.jobs,
    "cores": checks.count,
    "processes": checks.flag,
    "memory": checks.memory,
    "gpus": checks.gpus,
    "timeout": checks.timeout,
    "attempts": checks.attempts,
    "environment": checks.environment,
    "store": checks.store,
    "host": checks.text,
    "dashboard_address": checks.optional_text,
    "part_interval": checks.seconds,
    "progress": checks.flag,
}

_ENGINE_SETTINGS: dict[str, type[Any]] = {"docker": DockerSettings, "aws": AwsSettings}
_ENGINE_CHECKS: dict[str, dict[str, Callable[[str, Any], Any]]] = {
    "local": {},
    "docker": {"image": checks.optional_text},
    "aws": {
        "stack": checks.text,
        "region": checks.optional_text,
        "profile": checks.optional_text,
        "image": checks.optional_text,
        "queue": checks.optional_text,
        "job_role": checks.optional_text,
        "share_identifier": checks.share_identifier,
        "scheduling_priority": checks.priority,
        "secrets": checks.secrets,
        "tags": checks.tags,
    },
}
