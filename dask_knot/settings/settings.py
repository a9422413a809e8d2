"""The settings of a cluster: keyword before dask.config (file, environment) before knot.yaml."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from itertools import chain
from typing import Any

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from dask_knot.errors import ConfigurationError
from dask_knot.settings import awschecks, checks
from dask_knot.settings.connection import CONNECTION_CHECKS
from dask_knot.settings.container import container, ignored
from dask_knot.settings.defaults import DEFAULTS, reconfigure_if_wiped
from dask_knot.settings.resolver import (
    Check,
    SettingSource,
    is_never,
    keywords,
    resolved,
    section,
    underscored,
)
from dask_knot.settings.strays import check_strays

logger = logging.getLogger(__name__)

ENGINES = ("local", "docker", "aws")
#: What stands under `knot` and is no keyword of a cluster: engines, and the image of their jobs.
SECTIONS = (*ENGINES, "build")
#: Settings of engines that there were, and what to do instead.
RETIRED = {
    "unknown_task": "tasks nothing is known about are spread over as many jobs as possible; to "
    'say how long tasks take, use dask.annotate(knot={"seconds": ...})'
}
#: Memory of a job on AWS, for each of its vCPUs: instances of every family have it, and Fargate.
AWS_MEMORY_PER_CORE = 2 * 2**30


class Configured(Enum):
    """The value of an argument that leaves it to the configuration, where None says something."""

    CONFIGURED = "as configured"

    def __repr__(self) -> str:
        return f"<{self.value}>"


CONFIGURED = Configured.CONFIGURED


@dataclass(frozen=True, slots=True)
class Tempo:
    """Numbers that depend on the engine: seconds, `shards_per_slot`, and bytes a second.

    `shared_memory` is a share of what is free up to 1, else bytes.
    """

    gather_quiet: float
    gather_longest: float
    poll_fastest: float
    poll_slowest: float
    patience: float
    stuck_after: float
    target: float
    job_start: float
    shards_per_slot: int
    bandwidth: int
    progress_after: float
    news_interval: float | None
    preload: tuple[str, ...] = ()
    shared_memory: float = 0


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """The settings of engine "docker" alone."""

    image: str | None
    container: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """The settings of engine "aws" alone: where jobs are sent, and as what they run."""

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
    container: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a cluster; ``knot.yaml`` says what each one means.

    `memory` is in bytes, times are in seconds. `jobs` is 0 when the engine is to say how many.
    `auto` names those of `cores` and `memory` that are to be chosen: they are the usual ones yet.
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
    start_timeout: float | None
    attempts: int
    max_cost: float | None
    estimate: int | None
    speculate: float | None
    memory_retries: int
    max_memory: int | None
    environment: Mapping[str, str]
    store: str | None
    host: str
    dashboard_address: str | None
    part_interval: float
    progress: bool
    modules_limit: int
    reuse: bool
    tempo: Tempo
    docker: DockerSettings | None = None
    aws: AwsSettings | None = None
    auto: frozenset[str] = frozenset()

    @property
    def run(self) -> str | None:
        """The name of the run, if it has one by which it can be opened again."""
        return self.name if self.is_named else None


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
    check_strays(KEYWORDS)
    said = keywords(given, "KnotCluster has no argument", _is_silent)
    general = section("knot")
    packaged = SettingSource(underscored(DEFAULTS), is_silent=is_never)
    general.check_names([*_CHECKS, *SECTIONS])
    engine = resolved({"engine": _CHECKS["engine"]}, said, general, packaged)["engine"]
    _refuse_other_engines(given, engine)
    said.check_names([*_CHECKS, *_ENGINE_CHECKS[engine]])
    values = resolved(_CHECKS, said, general, packaged)
    own = _without_retired(section(f"knot.{engine}"))
    packaged = SettingSource(underscored(DEFAULTS[engine]), is_silent=is_never)
    own.check_names(packaged.values)
    chosen = resolved(_ENGINE_CHECKS[engine], said, own, packaged)
    kind = _ENGINE_SETTINGS.get(engine)
    return Settings(
        **_sized(values),
        tempo=Tempo(**resolved(_TEMPO_CHECKS, own, packaged)),
        **({engine: kind(**chosen)} if kind else {}),
    )


def _without_retired(source: SettingSource) -> SettingSource:
    """Leave settings alone that mean nothing any more: a file of before shouldn't break."""
    for name in source.values.keys() & RETIRED.keys():
        logger.warning("the setting %s no longer exists: %s", source.label(name), RETIRED[name])
    kept = {name: value for name, value in source.values.items() if name not in RETIRED}
    return replace(source, values=kept)


def _is_silent(name: str, value: object) -> bool:
    return value is None and name != "dashboard_address"  # there it says: no dashboard


def _sized(values: dict[str, Any]) -> dict[str, Any]:
    """Settle the size and the number of jobs, and the name of the run."""
    auto = frozenset(name for name in ("cores", "memory") if values[name] == checks.AUTO)
    values = values | {name: _USUAL[name] for name in auto}
    name, cores, is_local = values["name"], values["cores"], values["engine"] != "aws"
    jobs = values["jobs"] or (max(1, CPU_COUNT // cores) if is_local else 0)
    share = max(1, MEMORY_LIMIT // jobs) if is_local else cores * AWS_MEMORY_PER_CORE
    return values | {
        "jobs": jobs,
        "memory": values["memory"] or share,
        "name": name or f"knot-{uuid.uuid4().hex[:10]}",
        "is_named": name is not None,
        "auto": auto,
    }


def _refuse_other_engines(given: Mapping[str, Any], engine: str) -> None:
    """Refuse an argument that belongs to another engine, and say to which."""
    for other, own in _ENGINE_CHECKS.items():
        for name in given:
            if name in own and name not in _ENGINE_CHECKS[engine]:
                raise ConfigurationError(
                    f"KnotCluster(engine={engine!r}) has no argument {name!r}: it belongs to "
                    f"engine={other!r}"
                )


#: What stands in the place of what is chosen, as long as nothing is known.
_USUAL: dict[str, Any] = {"cores": 1, "memory": None}
_CHECKS: dict[str, Check] = {
    "engine": lambda name, value: checks.one_of(name, value, ENGINES),
    "name": checks.run_name,
    "jobs": checks.jobs,
    "cores": checks.automatic(checks.count),
    "processes": checks.flag,
    "memory": checks.automatic(checks.memory),
    "gpus": checks.gpus,
    "timeout": checks.timeout,
    "start_timeout": checks.start_timeout,
    "attempts": checks.attempts,
    "max_cost": checks.dollars,
    "estimate": checks.samples,
    "speculate": checks.factor,
    "memory_retries": lambda name, value: checks.attempts(name, value, least=0),
    "max_memory": checks.memory,
    "environment": checks.environment,
    "store": checks.store,
    "host": checks.text,
    "dashboard_address": checks.optional_text,
    "part_interval": checks.seconds,
    "progress": checks.flag,
    "modules_limit": checks.size,
    "reuse": checks.flag,
}

_TEMPO_CHECKS: dict[str, Check] = {
    **{field.name: checks.seconds for field in fields(Tempo)},
    "shards_per_slot": checks.count,
    "bandwidth": checks.bandwidth,
    "news_interval": checks.duration,
    "preload": lambda name, value: checks.names(name, value or []),
    "shared_memory": checks.share,
}

_ENGINE_SETTINGS: dict[str, type[Any]] = {"docker": DockerSettings, "aws": AwsSettings}
_ENGINE_CHECKS: dict[str, dict[str, Check]] = {
    "local": {"container": ignored},
    "docker": {"image": checks.optional_text, "container": container},
    "aws": {
        **CONNECTION_CHECKS,
        "image": checks.optional_text,
        "queue": checks.optional_text,
        "job_role": checks.optional_text,
        "share_identifier": awschecks.share_identifier,
        "scheduling_priority": awschecks.priority,
        "secrets": awschecks.secrets,
        "tags": awschecks.tags,
        "container": container,
    },
}
#: Every setting that is a keyword of a cluster, those that only some engines have included.
KEYWORDS = tuple(dict.fromkeys([*_CHECKS, *chain.from_iterable(_ENGINE_CHECKS.values())]))
