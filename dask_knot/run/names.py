"""Every name of an object in the store, and back again: the only place that knows them.

All objects of a run are below its name; beside runs there is only what `almanac` keeps. What people
ask jobs is in `inquiries`. `ID` stands for a stage, ``PLAN-STAGE``::

    RUN/run                      that this is a run that keeps a record, and in which format
    RUN/sessions/0000            what a session claims, when a run may have several: who it is
    RUN/beats/0000               the heartbeat of a session, overwritten
    RUN/ended                    who ended all of its jobs last, and how often that was done
    RUN/log/0000000000           the record: plans before they are submitted, and scattered values
    RUN/jobs/0000000000          the jobs of a plan, once they are submitted
    RUN/why/0000000000           what the digests of a plan's tasks are made of
    RUN/published/NAME           a published dataset
    RUN/profiles/0000            what tasks have cost in a session, overwritten
    RUN/maps/0000000000          a map of a `Knot`: its function, and how many items it has
    RUN/maps/0000000000.taken    where values of it are that earlier sessions had made
    RUN/plugins/DIGEST           worker plugins, as they were when a stage was packed
    RUN/bundles/DIGEST           modules of the user's own, as they were when a stage was packed
    RUN/constants/ID             large constants, written with the first stage that reads them
    RUN/scattered/0000000000     values that a client scattered
    RUN/packs/ID                 the shards of a stage; its URL is what a job is started with
    RUN/orders/ID                what children of a stage are told while they run, overwritten
    RUN/claims/ID-00003          who runs what shard 3 has handed over: clients, or itself
    RUN/data/7f/ID-00003.000a1   large values: shard 3, part 0, attempt 1
    RUN/manifests/ID/00003.p000  what a shard has done so far: its part 0
    RUN/manifests/ID/00003.end   what it has done: its last manifest
    RUN/manifests/ID/00003.lost  its obituary: it ended without a last manifest
    RUN/manifests/ID/00003.erred written before the last manifest if that tells of errors
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dask_knot.run import quoting
from dask_knot.run.ids import PLANS_PER_SESSION as PLANS_PER_SESSION
from dask_knot.run.ids import TWIN as TWIN
from dask_knot.run.ids import ManifestId as ManifestId
from dask_knot.run.ids import ShardId as ShardId
from dask_knot.run.ids import StageId as StageId
from dask_knot.run.ids import first_plan as first_plan
from dask_knot.run.ids import parse_shard as parse_shard
from dask_knot.run.ids import parse_stage as parse_stage
from dask_knot.run.ids import plan_name as plan_name
from dask_knot.run.ids import plan_number as plan_number
from dask_knot.run.ids import session_of as session_of

#: What a run may be called: Batch's pattern for job names, shorter so that suffixes fit.
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")

#: So many may there be: numbers of plans have ten digits. The last one is nobody's.
MOST_SESSIONS = 9_999
#: Numbers have leading zeros up to a width; each name can be made again from what it says.
_MANIFEST = re.compile(
    r"(\d{10})-(\d{3}|[1-9]\d{3,})/(\d{5})\.(?:p(\d{3}|[1-9]\d{3,})|end|(lost))", re.ASCII
)
_FOLDERS = (
    *("sessions", "beats", "log", "jobs", "why", "published", "profiles", "plugins", "constants"),
    *("scattered", "packs", "orders", "claims", "data", "manifests", "asks", "answers", "vitals"),
    *("maps", "bundles"),
)
_SESSION, _ENTRY = re.compile(r"\d{4}|[1-9]\d{4,}", re.ASCII), re.compile(r"\d{10}", re.ASCII)
_ERRED = ".erred"
#: What a child writes values into, with the number of its plan.
_MADE = re.compile(r"(?:data/[0-9a-f]{2}|manifests)/(\d{10})-", re.ASCII)


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
    def info(self) -> str:
        """Name the object that says that this is a run that keeps a record."""
        return f"{self.run}/run"

    @property
    def folders(self) -> list[str]:
        """Name all folders of a run."""
        return [f"{self.run}/{folder}" for folder in _FOLDERS]

    @property
    def ended(self) -> str:
        """Name the object that says who ended all jobs of the run."""
        return f"{self.run}/ended"

    @property
    def log(self) -> str:
        """Name the folder of the record's entries."""
        return f"{self.run}/log/"

    @property
    def published_datasets(self) -> str:
        """Name the folder of what is published."""
        return f"{self.run}/published/"

    @property
    def profiles(self) -> str:
        """Name the folder of what sessions know of costs."""
        return f"{self.run}/profiles/"

    @property
    def probe(self) -> str:
        """Name the object that is written to find out whether the store can be written."""
        return f"{self.run}/probe"

    def pack(self, stage: StageId) -> str:
        """Name the object that holds all shards of a stage."""
        return f"{self.run}/packs/{stage.stored}"

    def constants(self, stage: StageId) -> str:
        """Name the object of large constants that were first written for a stage."""
        return f"{self.run}/constants/{stage.stored}"

    def orders(self, stage: StageId) -> str:
        """Name the object of what the children of a stage are told while they run."""
        return f"{self.run}/orders/{stage.stored}"

    def claim(self, shard: ShardId) -> str:
        """Name the object that says who runs what a shard has handed over."""
        return f"{self.run}/claims/{shard.stored}"

    def of_stage(self, stage: StageId) -> str:
        """Name the folder of a stage's manifests."""
        return f"{self.manifests}{stage.stored}/"

    def before_plan(self, plan: int) -> str:
        """Name the listing offset after which the manifests of `plan` and later plans stand."""
        return f"{self.manifests}{plan:010}"

    def manifest(self, shard: ShardId, part: int | None = None, is_lost: bool = False) -> str:
        """Name a manifest: a part of a shard that still runs, its last one, or its obituary."""
        suffix = "lost" if is_lost else "end" if part is None else f"p{part:03}"
        return f"{self.of_stage(shard.stage)}{shard.index:05}.{suffix}"

    def erred(self, shard: ShardId) -> str:
        """Name the empty object that says that the last manifest of a shard tells of errors."""
        return f"{self.of_stage(shard.stage)}{shard.index:05}{_ERRED}"

    def parse_erred(self, names: Iterable[str]) -> set[ShardId]:
        """Tell which shards have such an object among names."""
        ends = (n.removesuffix(_ERRED) + ".end" for n in names if n.endswith(_ERRED))
        return {id.shard for id in self.parse_manifests(ends)}

    def parse_manifest(self, name: str) -> ManifestId:
        """Tell which shard a manifest is of, and which part; ValueError if it isn't one of ours."""
        prefix = self.manifests
        match = _MANIFEST.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
        if match is None:
            raise ValueError(f"{name!r} is not a manifest of run {self.run!r}")
        plan, stage, index, part, lost = match.groups()
        shard = ShardId(StageId(int(plan), int(stage)), int(index))
        return ManifestId(shard, None if part is None else int(part), lost is not None)

    def parse_manifests(self, names: Iterable[str]) -> Iterator[ManifestId]:
        """Tell which manifests there are among names; somebody else may have put others there."""
        for name in names:
            try:
                found = self.parse_manifest(name)
            except ValueError:
                continue
            yield found

    def data(self, shard: ShardId, attempt: int, number: int) -> str:
        """Name an object of values; attempts differ so that none overwrites another's values.

        The two digits in front spread the names: S3 counts requests per prefix.
        """
        spread = zlib.crc32(shard.stored.encode()) & 0xFF
        return f"{self.run}/data/{spread:02x}/{shard.stored}.{number:03}a{attempt}"

    def scattered(self, number: int) -> str:
        """Name the object of values that a client scattered; numbers begin as those of plans do."""
        return f"{self.run}/scattered/{number:010}"

    def session(self, number: int) -> str:
        """Name the object with which a session claims its numbers."""
        return f"{self.sessions}{number:04}"

    def parse_sessions(self, names: Iterable[str]) -> list[int]:
        """Tell which sessions there are among names below a folder of theirs."""
        return _numbers(_SESSION, names)

    def beat(self, session: int) -> str:
        """Name the heartbeat of a session."""
        return f"{self.run}/beats/{session:04}"

    def profile(self, session: int) -> str:
        """Name the object of what a session knows of costs."""
        return f"{self.profiles}{session:04}"

    def entry(self, position: int) -> str:
        """Name an entry of the record."""
        return f"{self.log}{position:010}"

    def parse_entries(self, names: Iterable[str]) -> list[int]:
        """Tell which entries of the record there are among names below its folder."""
        return _numbers(_ENTRY, names)

    def jobs(self, plan: int) -> str:
        """Name the object of a plan's jobs."""
        return f"{self.run}/jobs/{plan:010}"

    def why(self, plan: int) -> str:
        """Name the object of what the digests of a plan's tasks are made of."""
        return f"{self.run}/why/{plan:010}"

    def published(self, text: str) -> str:
        """Name the object of a published dataset: any text may be its name."""
        return f"{self.published_datasets}{quoting.quoted(text)}"

    def parse_published(self, name: str) -> str | None:
        """Tell under which text a dataset is published; None if only the object says that.

        Raises
        ------
        ValueError
            If `name` isn't a published dataset of this run.
        """
        prefix = self.published_datasets
        text = quoting.unquoted(name[len(prefix) :]) if name.startswith(prefix) else None
        if text is None and not name.startswith(f"{prefix}{quoting.LONG_TEXT}"):
            raise ValueError(f"{name!r} is not a published dataset of run {self.run!r}")
        return text

    def session_of_data(self, name: str) -> int | None:
        """Tell which session planned what wrote an object of values, or a manifest; else None."""
        match = _MADE.match(name.removeprefix(self.folder))
        return None if match is None else session_of(int(match[1]))

    @property
    def maps(self) -> str:
        """Name the folder of the maps of a `Knot`."""
        return f"{self.run}/maps/"

    def map(self, number: int) -> str:
        """Name the object of a map."""
        return f"{self.maps}{number:010}"

    def taken(self, number: int) -> str:
        """Name the object that says where values of a map are which others had made."""
        return f"{self.map(number)}.taken"

    def parse_maps(self, names: Iterable[str]) -> list[int]:
        """Tell which maps there are among names below their folder."""
        return _numbers(_ENTRY, names)

    def plugins(self, digest: str) -> str:
        """Name the object of the worker plugins with that digest."""
        return f"{self.run}/plugins/{digest}"

    def bundle(self, digest: str) -> str:
        """Name the object of the user's own modules with that digest."""
        return f"{self.run}/bundles/{digest}"


def _numbers(pattern: re.Pattern[str], names: Iterable[str]) -> list[int]:
    """Read numbers at the ends of names; somebody else may have put others there."""
    ends = (name.rpartition("/")[2] for name in names)
    return sorted(int(end) for end in ends if pattern.fullmatch(end))


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
