"""A tracker driven by hand: plans are made when a test says so, shards end as it says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from dask.typing import Key

from dask_knot.errors import KilledTaskError
from dask_knot.planning import Limits, Plan, Resources, Shard, make_plan
from dask_knot.run.manifest import Kind, Manifest, Output, Place
from dask_knot.run.names import Names, ShardId, StageId
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending, Graph
from dask_knot.tracking.pace import Mending
from dask_knot.tracking.tracker import Held, Pace, Tracker

from . import recount
from .memory import remembered
from .universe import task

A = TypeVar("A")
NAMES = Names("run")


def graph(
    reads: dict[Key, list[Key]],
    wanted: Collection[Key],
    *external: Key,
    digests: Mapping[Key, bytes] | None = None,
) -> Graph:
    """Make a graph from what each key reads."""
    tasks = {key: task(*found) for key, found in reads.items()}
    return Graph(tasks, [*wanted], external=external, digests=digests or {})


class Hands:
    """Keeps all actions in `done`, the plans by number, and checks the records after each event."""

    def __init__(
        self,
        pace: Pace = Pace(0.0, 0.0),  # noqa: B008
        held: Held | None = None,
        mended: Mending | None = None,
        default: Resources = Resources(),  # noqa: B008
        **limits: Any,
    ) -> None:
        numbers = Limits(**{"slots": 4, **limits})
        self.tracker = Tracker(NAMES, numbers, default, pace, held, mended)
        self.now = 0.0
        self.done: list[actions.Action] = []
        self.plans: dict[int, Plan] = {}
        self.graphs: list[Graph] = []

    def tell(self, *happened: events.Event) -> list[actions.Action]:
        """Tell the tracker, and give what it decided."""
        new: list[actions.Action] = []
        for event in happened:
            self.now += 1.0
            new += self.tracker.handle(event, self.now)
            recount.check(remembered(self.tracker))
        self.done += new
        return new

    def submit(
        self,
        reads: dict[Key, list[Key]],
        *wanted: Key,
        external: Collection[Key] = (),
        digests: Mapping[Key, bytes] | None = None,
    ) -> None:
        """Let a client ask for keys, which Dask asks for at once."""
        self.graphs.append(graph(reads, wanted, *external, digests=digests))
        self.tell(events.GraphSubmitted(self.graphs[-1]))
        self.tell(*(events.KeyAsked(key, number) for number, key in enumerate(wanted)))

    def plan(self) -> actions.SubmitPlan:
        """Make the plan that was asked for last."""
        asked = self.last(actions.MakePlan)
        self.plans[asked.number] = make_plan(asked.request)
        self.tell(*self.record(asked, self.plans[asked.number]))
        return self.last(actions.SubmitPlan)

    def record(self, asked: actions.MakePlan, plan: Plan) -> list[events.Event]:
        """Tell what the tracker learns when a plan was made; a run with a name has a record."""
        return [events.PlanMade(asked.number, plan)]

    def last(self, kind: type[A]) -> A:
        """Give the last action of a kind."""
        return [action for action in self.done if isinstance(action, kind)][-1]

    def all(self, kind: type[A]) -> list[A]:
        """Give all actions of a kind."""
        return [action for action in self.done if isinstance(action, kind)]

    def shard_of(self, key: Key) -> ShardId:
        """Name the newest shard that writes a key."""
        return [
            ShardId(StageId(number, index), child)
            for number, plan in self.plans.items()
            for index, stage in enumerate(plan.stages)
            for child, shard in enumerate(stage.shards)
            if key in shard.outputs
        ][-1]

    def shard(self, id: ShardId) -> Shard:
        """Give a planned shard."""
        return self.plans[id.stage.plan].stages[id.stage.stage].shards[id.index]

    def finish(
        self, id: ShardId, erred: Collection[Key] = (), part: int | None = None
    ) -> list[actions.Action]:
        """Let a shard leave a manifest with all of its outputs."""
        name = NAMES.manifest(id, part)
        outputs = [
            Output(n, Kind(key in erred), Place(name, n, 1), 8, 0, 1.0, 2.0)
            for n, key in enumerate(self.shard(id).outputs)
        ]
        found = Manifest(part is None, 1, outputs, [(b"pickled", "int")])
        return self.tell(events.ManifestFound(id, name, found))

    def fail(self, id: ShardId, ending: Ending) -> list[actions.Action]:
        """Let a shard end without its last manifest."""
        return self.tell(events.ChildFailed(id, ending, KilledTaskError(f"{ending}", "job")))

    def forget(self, *keys: Key) -> list[actions.Action]:
        """Let Dask forget keys."""
        return self.tell(*(events.KeyReleased(key, True) for key in keys))

    def is_clean(self) -> bool:
        """Whether nothing is left."""
        state = remembered(self.tracker)
        return not (state.keys or state.stages or state.running or state.drafts or state.planning)
