"""Every name of an object in the store, and back again: the only place that knows them."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

#: What a run may be called: Batch's pattern for job names, shorter so that suffixes fit.
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")

#: A session of a run numbers its plans from its own number times this.
PLANS_PER_SESSION = 1_000_000

_MANIFEST = re.compile(r"(\d{10})-(\d{3,})/(\d{5})\.(?:p(\d{3,})|(end))")


@dataclass(frozen=True, slots=True, order=True)
class StageId:
    """A stage of a run: the number of its plan, and its place in that plan."""

    plan: int
    stage: int

    def __str__(self) -> str:
        return f"{self.plan:010}-{self.stage:03}"


@dataclass(frozen=True, slots=True, order=True)
class ShardId:
    """A shard of a stage, run by the child with index `index`."""

    stage: StageId
    index: int

    def __str__(self) -> str:
        return f"{self.stage}-{self.index:05}"


def pack(run: str, stage: StageId) -> str:
    """Name the object that holds all shards of a stage."""
    return f"{run}/packs/{stage}"


def parse_pack(url: str) -> tuple[str, str, StageId]:
    """Split the URL of a pack into the URL of its store, its run and its stage.

    Raises
    ------
    ValueError
        If `url` doesn't end like the name of a pack.
    """
    root, run, folder, name = (url.rsplit("/", 3) + [""] * 3)[:4]
    plan, _, stage = name.partition("-")
    if folder != "packs" or not (plan.isdigit() and stage.isdigit()):
        raise ValueError(
            f"{url!r} is not the URL of a stage: it should end in RUN/packs/PLAN-STAGE"
        )
    return root, run, StageId(int(plan), int(stage))


def manifests(run: str) -> str:
    """Name the folder of all manifests of a run."""
    return f"{run}/manifests/"


def of_stage(run: str, stage: StageId) -> str:
    """Name the folder of a stage's manifests."""
    return f"{manifests(run)}{stage}/"


def manifest(run: str, shard: ShardId, part: int | None = None) -> str:
    """Name a manifest: part `part` of a shard that still runs, or its last one."""
    suffix = "end" if part is None else f"p{part:03}"
    return f"{of_stage(run, shard.stage)}{shard.index:05}.{suffix}"


def parse_manifest(run: str, name: str) -> tuple[ShardId, int | None]:
    """Tell which shard a manifest is of, and which part (None: the last one).

    Raises
    ------
    ValueError
        If `name` isn't a manifest of `run`.
    """
    prefix = manifests(run)
    match = _MANIFEST.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
    if match is None:
        raise ValueError(f"{name!r} is not a manifest of run {run!r}")
    plan, stage, index, part, _ = match.groups()
    shard = ShardId(StageId(int(plan), int(stage)), int(index))
    return shard, None if part is None else int(part)


def before_plan(run: str, plan: int) -> str:
    """Name the listing offset after which the manifests of `plan` and of later plans stand."""
    return f"{manifests(run)}{plan:010}"


def data(run: str, shard: ShardId, part: int, attempt: int) -> str:
    """Name an object of values; attempts differ so that none overwrites another's values.

    The two digits in front spread the names: S3 counts requests per prefix.
    """
    spread = zlib.crc32(str(shard).encode()) & 0xFF
    return f"{run}/data/{spread:02x}/{shard}.{part:03}a{attempt}"


def scattered(run: str, number: int) -> str:
    """Name the object of values that the client scattered; numbers begin as those of plans do."""
    return f"{run}/scattered/{number:010}"


def constants(run: str, stage: StageId) -> str:
    """Name the object of large constants that were first written for a stage."""
    return f"{run}/constants/{stage}"


def unneeded(run: str, stage: StageId) -> str:
    """Name the object that tells the children of a stage whose shards nobody needs any more."""
    return f"{run}/unneeded/{stage}"


def session(run: str, number: int) -> str:
    """Name the object with which a cluster claims the numbers of one session of a run."""
    return f"{run}/sessions/{number:04}"


def probe(run: str) -> str:
    """Name the object that is written to find out whether the store can be written."""
    return f"{run}/probe"


def plugins(run: str, digest: str) -> str:
    """Name the object of the worker plugins with that digest."""
    return f"{run}/plugins/{digest}"
