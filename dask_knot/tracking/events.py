"""Things that happened: the only way in which the tracker learns of anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from dask.typing import Key

from dask_knot.planning import Cost, Plan
from dask_knot.run.manifest import Manifest, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import Entry, PlanRecord
from dask_knot.tracking.graph import Graph as Graph
from dask_knot.tracking.graph import Node as Node


@dataclass(frozen=True, slots=True)
class ArrivalBegan:
    """A graph of a client is taken up; until `ArrivalEnded`, others may wait behind it."""


@dataclass(frozen=True, slots=True)
class ArrivalEnded:
    """A graph of a client was taken up, or refused."""


@dataclass(frozen=True, slots=True)
class GraphSubmitted:
    """A client asked for values; those that are held stay until `GraphTaken`."""

    graph: Graph
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class GraphTaken:
    """Dask has taken a graph that was submitted: it now holds the `taken` of its wanted keys.

    Between the two nothing of the graph goes, whatever other clients release meanwhile.
    """

    graph: Graph
    taken: Set[Key]


class KeyAsked(NamedTuple):
    """Dask asks for the outcome of a wanted key; once more after an outcome means: run it again."""

    key: Key
    run_id: int


class KeyReleased(NamedTuple):
    """Dask holds a key's value no longer; when it is forgotten, it will never ask again.

    Attributes
    ----------
    is_left : bool
        Its client went away without a word: in a named run what is being made is made for later.
    """

    key: Key
    forgotten: bool
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class ValuesScattered:
    """The client put values into the store itself; `digests` are those of their contents."""

    places: Mapping[Key, Place]
    digests: Mapping[Key, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValueLost:
    """A value that was stored can't be read any more."""

    key: Key
    error: Exception


@dataclass(frozen=True, slots=True)
class EntriesFound:
    """Entries of the record of a named run: of earlier sessions, and of others at work."""

    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class KeyRecalled:
    """A client asks, by its name alone, for a key that some session of the run was asked for.

    The outcome comes with that run id; nothing comes if the run doesn't know the key.
    """

    key: Key
    run_id: int


@dataclass(frozen=True, slots=True)
class StageFound:
    """A stage that was adopted was looked at for the first time, and what is over taken in.

    Attributes
    ----------
    is_waitable : bool
        Jobs of other stages may depend on its job: it is one of our own Batch.
    """

    stage: StageId
    is_waitable: bool


@dataclass(frozen=True, slots=True)
class StageStarted:
    """Every child of a stage has started, or has ended already."""

    stage: StageId


@dataclass(frozen=True, slots=True)
class Leaving:
    """The client is about to leave: what waits to be planned is due at once."""


@dataclass(frozen=True, slots=True)
class PlanMade:
    """The planner is done; in a named run the plan is recorded."""

    number: int
    plan: Plan
    record: PlanRecord | None = None


@dataclass(frozen=True, slots=True)
class PlanOutrun:
    """Others of the run make a part of what was planned: the plan was not recorded.

    Their entries came before this, as `EntriesFound`.
    """

    number: int


@dataclass(frozen=True, slots=True)
class PlanningFailed:
    """The planner could not cut the tasks."""

    number: int
    error: Exception


@dataclass(frozen=True, slots=True)
class SubmissionFailed:
    """A stage was not taken by Batch, so those that depend on it weren't sent either."""

    stage: StageId
    error: Exception


@dataclass(frozen=True, slots=True)
class ManifestFound:
    """A child has committed a part of its shard, or all of it.

    Attributes
    ----------
    is_old : bool
        It was there when its shard was looked at for the first time.
    opening : int, optional
        The opening since which its shard was looked at (see `Tracker.opening`): if it was opened
        once more meanwhile, it will be looked at again. None: whichever.
    """

    shard: ShardId
    name: str
    manifest: Manifest
    is_old: bool = False
    opening: int | None = None


class Ending(Enum):
    """Why a child ended without a last manifest."""

    KILLED = auto()
    MEMORY = auto()
    TIMEOUT = auto()
    NOT_LOADED = auto()
    NOT_STARTED = auto()
    OTHER_VERSIONS = auto()
    NOT_SET_UP = auto()
    TERMINATED = auto()
    HOST_LOST = auto()
    DEPENDENCY_FAILED = auto()
    UNREADABLE = auto()
    LEFT = auto()  # its client is gone, and with it the job, or the submission that never came


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A child ended without a last manifest; `opening` is as of what was found of its shard."""

    shard: ShardId
    ending: Ending
    error: Exception
    opening: int | None = None


@dataclass(frozen=True, slots=True)
class CostsRecalled:
    """It is known what tasks cost before any of them has run here.

    Attributes
    ----------
    costs : mapping of (str, bytes) to Cost
        What tasks of a prefix, with the code of that digest, took in earlier sessions.
    nbytes : mapping of (str, bytes) to float
        How large their values were.
    assumed : mapping of str to float
        The seconds that Dask assumes of tasks, by prefix.
    peaks : mapping of (str, bytes) to int
        The most memory that a job had while such tasks ran.
    memory : mapping of (str, bytes) to int
        The bytes that jobs needed, where that was more than had been asked for.
    """

    costs: Mapping[tuple[str, bytes], Cost] = field(default_factory=dict)
    nbytes: Mapping[tuple[str, bytes], float] = field(default_factory=dict)
    assumed: Mapping[str, float] = field(default_factory=dict)
    peaks: Mapping[tuple[str, bytes], int] = field(default_factory=dict)
    memory: Mapping[tuple[str, bytes], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed.

    Attributes
    ----------
    is_alone : bool
        No other session holds the run: none waits for what stages that haven't started will make.
    """

    is_alone: bool = True


Event = (
    ArrivalBegan
    | ArrivalEnded
    | GraphSubmitted
    | GraphTaken
    | KeyAsked
    | KeyReleased
    | ValuesScattered
    | ValueLost
    | EntriesFound
    | KeyRecalled
    | StageFound
    | StageStarted
    | Leaving
    | PlanMade
    | PlanOutrun
    | PlanningFailed
    | SubmissionFailed
    | ManifestFound
    | ChildFailed
    | CostsRecalled
    | Ticked
)
