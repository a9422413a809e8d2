"""Every name of an object in the store, and back again: the only place that knows them.

All objects of a run are below its name. `ID` stands for a stage, ``PLAN-STAGE``::

    RUN/sessions/0000            what a session claims, when a run may have several
    RUN/plugins/DIGEST           worker plugins, as they were when a stage was packed
    RUN/constants/ID             large constants, written with the first stage that reads them
    RUN/scattered/0000000000     values that a client scattered
    RUN/packs/ID                 the shards of a stage; its URL is what a job is started with
    RUN/unneeded/ID              the shards of a stage that nobody needs any more
    RUN/data/7f/ID-00003.000a1   large values: shard 3, part 0, attempt 1
    RUN/manifests/ID/00003.p000  what a shard has done so far: its part 0
    RUN/manifests/ID/00003.end   what it has done: its last manifest
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: What a run may be called: Batch's pattern for job names, shorter so that suffixes fit.
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")

#: A session of a run numbers its plans from its own number times this.
PLANS_PER_SESSION = 1_000_000

#: Numbers have leading zeros up to a width; each name can be made again from what it says.
_MANIFEST = re.compile(
    r"(\d{10})-(\d{3}|[1-9]\d{3,})/(\d{5})\.(?:p(\d{3}|[1-9]\d{3,})|end)", re.ASCII
)


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


class ManifestId(NamedTuple):
    """A manifest: of which shard it is, and which part (None: the last one)."""

    shard: ShardId
    part: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all objects of a run, which are all below its own."""

    run: str

    @property
    def folder(self) -> str:
        """Name the folder of the whole run."""
        return f"{self.run}/"

    @property
    def manifests(self) -> str:
        """Name the folder of all manifests."""
        return f"{self.run}/manifests/"

    @property
    def sessions(self) -> str:
        """Name the folder of what sessions claim."""
        return f"{self.run}/sessions/"

    @property
    def probe(self) -> str:
        """Name the object that is written to find out whether the store can be written."""
        return f"{self.run}/probe"

    def pack(self, stage: StageId) -> str:
        """Name the object that holds all shards of a stage."""
        return f"{self.run}/packs/{stage}"

    def constants(self, stage: StageId) -> str:
        """Name the object of large constants that were first written for a stage."""
        return f"{self.run}/constants/{stage}"

    def unneeded(self, stage: StageId) -> str:
        """Name the object that tells the children of a stage whose shards nobody needs any more."""
        return f"{self.run}/unneeded/{stage}"

    def of_stage(self, stage: StageId) -> str:
        """Name the folder of a stage's manifests."""
        return f"{self.manifests}{stage}/"

    def before_plan(self, plan: int) -> str:
        """Name the listing offset after which the manifests of `plan` and later plans stand."""
        return f"{self.manifests}{plan:010}"

    def manifest(self, shard: ShardId, part: int | None = None) -> str:
        """Name a manifest: part `part` of a shard that still runs, or its last one."""
        suffix = "end" if part is None else f"p{part:03}"
        return f"{self.of_stage(shard.stage)}{shard.index:05}.{suffix}"

    def parse_manifest(self, name: str) -> ManifestId:
        """Tell which shard a manifest is of, and which part.

        Raises
        ------
        ValueError
            If `name` isn't a manifest of this run.
        """
        prefix = self.manifests
        match = _MANIFEST.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
        if match is None:
            raise ValueError(f"{name!r} is not a manifest of run {self.run!r}")
        plan, stage, index, part = match.groups()
        shard = ShardId(StageId(int(plan), int(stage)), int(index))
        return ManifestId(shard, None if part is None else int(part))

    def parse_manifests(self, names: Iterable[str]) -> Iterator[ManifestId]:
        """Tell which manifests there are among names; somebody else may have put others there."""
        for name in names:
            try:
                found = self.parse_manifest(name)
            except ValueError:
                continue
            yield found

    def data(self, shard: ShardId, part: int, attempt: int) -> str:
        """Name an object of values; attempts differ so that none overwrites another's values.

        The two digits in front spread the names: S3 counts requests per prefix.
        """
        spread = zlib.crc32(str(shard).encode()) & 0xFF
        return f"{self.run}/data/{spread:02x}/{shard}.{part:03}a{attempt}"

    def scattered(self, number: int) -> str:
        """Name the object of values that a client scattered; numbers begin as those of plans do."""
        return f"{self.run}/scattered/{number:010}"

    def session(self, number: int) -> str:
        """Name the object with which a session claims its numbers."""
        return f"{self.sessions}{number:04}"

    def plugins(self, digest: str) -> str:
        """Name the object of the worker plugins with that digest."""
        return f"{self.run}/plugins/{digest}"


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
