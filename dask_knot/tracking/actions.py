"""Things to be done: the only way in which the tracker changes anything outside of itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from dask.typing import Key

from dask_knot.planning import Plan, PlanRequest
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import Graph, Node


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Cut tasks into stages of shards; answer with PlanMade, PlanOutrun or PlanningFailed.

    Attributes
    ----------
    graphs : collection of Graph
        Where the tasks come from, with the digests of their work.
    misread : set of Key
        Tasks whose digests don't hold: they will read other values than their graphs say.
    """

    number: int
    request: PlanRequest
    graphs: Collection[Graph] = ()
    misread: Set[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class AdoptStage:
    """Find the job of a stage that another session submitted, or was to, and watch it."""

    stage: StageId
    size: int


@dataclass(frozen=True, slots=True)
class WithdrawPlan:
    """Tell others that the stages of a plan which was recorded will never be submitted."""

    number: int
    stages: int


@dataclass(frozen=True, slots=True)
class SubmitPlan:
    """Write a plan's packs and submit its stages, in order.

    Attributes
    ----------
    tasks : mapping of Key to Node
        The plan's tasks and literals.
    inputs : mapping of Key to Place, (ShardId, int) or Exception
        Values made outside of the plan: where they are, or which output of which shard they will
        be, or why there is none.
    """

    number: int
    plan: Plan
    tasks: Mapping[Key, Node]
    inputs: Mapping[Key, Place | tuple[ShardId, int] | Exception]


@dataclass(frozen=True, slots=True)
class TerminateStage:
    """End a stage's jobs: nobody needs what they would make."""

    stage: StageId


@dataclass(frozen=True, slots=True)
class TellChildren:
    """Let the children of a stage know what they are to do: `Tracker.orders_of` says it."""

    stage: StageId


@dataclass(frozen=True, slots=True)
class StartTwin:
    """Start a shard a second time, beside the child that runs it: whoever commits first goes on."""

    shard: ShardId


@dataclass(frozen=True, slots=True)
class Decided:
    """Write down what was decided about work that is under way, and why: a line for people.

    `is_news` is for what they should read at once.
    """

    text: str
    is_news: bool = False


class Facts(NamedTuple):
    """The facts that Dask keeps of a value: bytes in memory, type, seconds since the epoch."""

    nbytes: int
    type: bytes
    typename: str
    start: float
    stop: float


class FinishKey(NamedTuple):
    """Tell Dask that a wanted key is done; its value stays at `place`."""

    key: Key
    run_id: int
    place: Place
    facts: Facts


@dataclass(frozen=True, slots=True)
class FailKey:
    """Tell Dask that a wanted key erred: the failure is at a place, or known here."""

    key: Key
    run_id: int
    failure: Place | Exception


@dataclass(frozen=True, slots=True)
class DeleteObjects:
    """Remove objects that hold nothing that is needed."""

    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Admit:
    """Write down a mistake of the tracker, which it has answered for already."""

    error: Exception


@dataclass(frozen=True, slots=True)
class WriteAgain:
    """Take it that shared objects can't be read: constants and plugins are written again.

    `names` are those of the objects, as far as that is known.
    """

    names: Sequence[str]


Action = (
    MakePlan
    | AdoptStage
    | WithdrawPlan
    | SubmitPlan
    | TerminateStage
    | TellChildren
    | StartTwin
    | Decided
    | FinishKey
    | FailKey
    | DeleteObjects
    | Admit
    | WriteAgain
)
