"""Things that happened: the only way in which the tracker learns of anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from dask.typing import Key

from dask_knot.planning import Plan, Resources
from dask_knot.run.manifest import Manifest, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import Entry, PlanRecord


class Node(Protocol):
    """The little that the tracker knows of a task."""

    @property
    def dependencies(self) -> Set[Key]:
        """The keys it reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A culled graph.

    Attributes
    ----------
    tasks : mapping of Key to Node
        Every task that a wanted key needs, literals included.
    wanted : sequence of Key
        What the client asked for.
    literals : set of Key
        Tasks that are constants.
    external : sequence of Key
        Keys that tasks read and that are not in `tasks`.
    resources : mapping of Key to Resources
        What tasks need that is not the usual.
    seconds : mapping of Key to float
        How long tasks take, as far as the user has said so.
    priorities : mapping of Key to float
        Of tasks that come before others, or after them; all others have 0.
    priority : float
        The highest one of what is wanted: a graph is planned as a whole.
    digests : mapping of Key to bytes
        In a named run, the digests of the tasks' work; none of work that must be done anew.
    codes : mapping of str to bytes
        The digest of the code of the tasks, by key prefix.
    components : Any
        In a named run, what the digests are made of, to be kept beside plans.
    """

    tasks: Mapping[Key, Node]
    wanted: Sequence[Key]
    literals: Set[Key] = frozenset()
    external: Sequence[Key] = ()
    resources: Mapping[Key, Resources] = field(default_factory=dict)
    seconds: Mapping[Key, float] = field(default_factory=dict)
    priorities: Mapping[Key, float] = field(default_factory=dict)
    priority: float = 0
    digests: Mapping[Key, bytes] = field(default_factory=dict)
    codes: Mapping[str, bytes] = field(default_factory=dict)
    components: Any = None

    def tasks_before(self, key: Key, is_there: Callable[[Key], bool]) -> dict[Key, Node]:
        """Take a task, and all tasks before it whose values can't be had.

        Parameters
        ----------
        key : Key
            Names the task, which is taken in any case.
        is_there : callable
            Whether the value of a key can be had.
        """
        tasks: dict[Key, Node] = {}
        stack = [key]
        while stack:
            task = stack.pop()
            if task not in tasks:
                tasks[task] = self.tasks[task]
                read = [key for key in tasks[task].dependencies if key in self.tasks]
                stack += [key for key in read if not is_there(key)]
        return tasks


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


@dataclass(frozen=True, slots=True)
class KeyAsked:
    """Dask asks for the outcome of a wanted key; once more after an outcome means: run it again."""

    key: Key
    run_id: int


@dataclass(frozen=True, slots=True)
class KeyReleased:
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
    """

    shard: ShardId
    name: str
    manifest: Manifest
    is_old: bool = False


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
    """A child ended without a last manifest."""

    shard: ShardId
    ending: Ending
    error: Exception


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


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
    | Leaving
    | PlanMade
    | PlanOutrun
    | PlanningFailed
    | SubmissionFailed
    | ManifestFound
    | ChildFailed
    | Ticked
)
