"""The whole simulated world: client, Dask, planner, Batch and store around a real tracker."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

from dask.typing import Key

from dask_knot.errors import JobError, MissingObjectError
from dask_knot.planning import Limits, Resources, make_plan
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import actions, events
from dask_knot.tracking.moves import KeyState, ShardState
from dask_knot.tracking.slots import is_waiting
from dask_knot.tracking.tracker import Pace, Tracker
from dask_knot.tracking.withdrawal import can_be_planned, with_followers, withdraw

from . import recount
from .jobs import NAMES, Jobs, Value, blamed
from .memory import remembered
from .scheduler import Scheduler, Status
from .universe import Universe

#: How often a key may lose its machine before that counts as a failure of its own.
FEW_HOSTS = 2


#: Bytes that a job has unless it is given more.
MEMORY = 2**30


class World:
    """Carries out the tracker's actions, and checks everything after each event.

    Parameters
    ----------
    random : Random
        Decides everything that is open.
    universe : Universe
        What there is to compute.
    trouble : float
        How probable refused stages, failed plans and lost values are.
    mistakes : float
        How probable a mistake of the tracker is, after which it gives up what runs.
    """

    def __init__(
        self, random: Random, universe: Universe, trouble: float = 0.0, mistakes: float = 0.0
    ) -> None:
        self.random = random
        self.universe = universe
        self.trouble = trouble
        self.mistakes = mistakes
        self.mending = 0.0
        self.is_calm = False
        self.now = 0.0
        limits = Limits(
            slots=random.randint(1, 4),
            shards_per_slot=random.randint(1, 3),
            target_seconds=random.choice((0.01, 0.5, 100.0)),
            job_start_seconds=random.choice((0.0, 0.05)),
            array_size=random.choice((2, 10_000)),
            upstream_arrays=random.choice((2, 20)),
        )
        pace = Pace(0.1, random.choice((0.3, 5.0)))
        self.tracker = Tracker(NAMES, limits, Resources(memory=MEMORY), pace)
        self.dask = Scheduler(self.handle)
        self.jobs = Jobs(random, universe)
        self.arriving: list[events.Graph] = []
        self.plans: list[actions.MakePlan] = []
        self.submits: deque[actions.SubmitPlan | actions.TerminateStage] = deque()
        self.watched: set[StageId] = set()
        self.deleted: Counter[str] = Counter()
        self.found_late: set[str] = set()
        self.log: list[object] = []
        self.scatters = 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other client: then plans may be mended."""
        return True

    def handle(self, event: events.Event) -> None:
        """Tell the tracker of an event, and carry out what it decides."""
        self.log.append(event)
        if isinstance(event, events.ManifestFound):
            written = {event.name, *(o.place.name for o in event.manifest.outputs)}
            self.found_late |= written & self.deleted.keys()
        decided = self.tracker.handle(event, self.now)
        if self.mistakes and self.random.random() < self.mistakes:
            decided += self.tracker.give_up(JobError("a mistake of ours", "trouble"))
        for action in decided:
            self.log.append(action)
            self._do(action)
        recount.check(remembered(self.tracker))

    def _do(self, action: actions.Action) -> None:
        if isinstance(action, actions.MakePlan):
            self.plans.append(action)
        elif isinstance(action, actions.SubmitPlan | actions.TerminateStage):
            self.submits.append(action)
        elif isinstance(action, actions.TellChildren):
            self.jobs.orders[action.stage] = self.tracker.orders_of(action.stage)
        elif isinstance(action, actions.DeleteObjects):
            self._delete(action)
        elif isinstance(action, actions.FinishKey):
            self.dask.answer(action.key, action.run_id, True)
            value = self.jobs.objects[action.place.name][action.place.offset]
            assert value == Value(action.key)
        elif isinstance(action, actions.FailKey):
            self.dask.answer(action.key, action.run_id, False)
            self._check_blame(action)

    def _delete(self, action: actions.DeleteObjects) -> None:
        assert not set(action.names) & recount.needed_objects(remembered(self.tracker))
        self.deleted.update(action.names)
        for name in action.names:
            self.jobs.objects.pop(name, None)

    def _check_blame(self, action: actions.FailKey) -> None:
        """Check that an error names tasks that misbehave, and that are of the key's own."""
        if isinstance(action.failure, Exception):
            roots = blamed(action.failure)
        else:
            value = self.jobs.objects[action.failure.name][action.failure.offset]
            assert value.key == action.key
            roots = value.roots
        mine = {str(key) for key in self.universe.ancestors(action.key) & self.universe.bad}
        allowed = mine | ({"trouble", "gone"} if self.trouble else set())
        assert roots, f"{action.key} failed without a cause"
        assert roots <= allowed, f"{action.key} failed because of {set(roots)}"

    def submit(self, wanted: list[Key], outside: list[Key]) -> None:
        """Let a client ask for keys; Dask must know those of `outside`."""
        graph = self.universe.graph(wanted, outside)
        if all(key in self.dask.entries for key in graph.external):
            self.handle(events.ArrivalBegan())
            self.handle(events.GraphSubmitted(graph, is_held=True))
            self.arriving.append(graph)
            if self.random.random() < 0.8:
                self.take()

    def take(self) -> bool:
        """Let Dask take a graph that arrived, unless what it reads was cancelled meanwhile."""
        if not self.arriving:
            return False
        graph = self.arriving.pop(0)
        if all(key in self.dask.entries for key in graph.external):
            self.dask.update_graph(graph.wanted, graph.external)
        self.handle(events.GraphTaken(graph, {*graph.wanted} & self.dask.entries.keys()))
        self.handle(events.ArrivalEnded())
        return True

    def scatter(self, keys: list[Key]) -> None:
        """Let a client put values into the store; again if they are there already."""
        name = NAMES.scattered(self.scatters)
        self.scatters += 1
        self.jobs.write(name, {n: Value(key) for n, key in enumerate(keys)})
        places = {key: Place(name, n, 1) for n, key in enumerate(keys)}
        self.handle(events.ValuesScattered(places))
        for key in keys:
            self.dask.scattered(key)

    def plan(self) -> bool:
        """Finish the plan that is being made."""
        if not self.plans:
            return False
        action = self.plans.pop()
        if self.random.random() < self.trouble:
            error = JobError("no plan", "trouble")
            self.handle(events.PlanningFailed(action.number, error))
        else:
            self.handle(events.PlanMade(action.number, make_plan(action.request)))
        return True

    def send(self) -> bool:
        """Submit a plan, or terminate a stage, in the order in which that was decided."""
        if not self.submits:
            return False
        action = self.submits.popleft()
        if isinstance(action, actions.TerminateStage):
            self.watched.add(action.stage)
            self.jobs.terminate(action.stage)
        else:
            for failed in list(self.jobs.submit(action, self.trouble)):
                self.handle(failed)
        return True

    def run(self) -> bool:
        """Let one job go one task further."""
        state = remembered(self.tracker)
        shards = [shard for stage in state.stages.values() for shard in stage.shards]
        many = any(r.attempts >= FEW_HOSTS for s in shards for r in s.outputs)
        self.jobs.may_lose_hosts = 0.0 if many or self.is_calm else 0.02
        needed: dict[ShardId, bool] = {
            s.id: s.state is ShardState.OPEN for s in shards if s.id is not None
        }
        return self.jobs.step(needed)

    def look(self) -> bool:
        """Look at all jobs, as the watcher does; sometimes not all of them are asked for."""
        stages = sorted({*self.tracker.open_stages(), *self.watched})
        asked = (
            stages if self.random.random() < 0.8 else self.random.sample(stages, len(stages) // 2)
        )
        found = self.jobs.look(stages, asked)
        for event in found:
            self.handle(event)
        for id in asked:
            if id in self.jobs.jobs and self.jobs.jobs[id].has_started:
                self.handle(events.StageStarted(id))
        self.watched = {id for id in self.watched if not self._is_over(id)}
        return bool(found)

    def _is_over(self, id: StageId) -> bool:
        job = self.jobs.jobs.get(id)
        return job is None or job.is_over

    def tick(self) -> bool:
        """Let time pass, at the latest until something is due."""
        due = self.tracker.due()
        if due is None:
            return False
        self.now = max(self.now, due)
        self.handle(events.Ticked(self.is_alone))
        return True

    def mend(self) -> None:
        """Let time pass, and look what is to be mended."""
        self.now += 0.1
        self.handle(events.Ticked(self.is_alone))

    def ask(self) -> None:
        """Ask a shard to hand over, whatever rules say of that."""
        state = remembered(self.tracker)
        paired = {id for stage in state.running for id in state.stages[stage].pairs}
        stages = [state.stages[id] for id in sorted(state.running - paired)]
        shards = [s for stage in stages for s in stage.shards if s.is_open]
        shards = [s for s in shards if not s.rest.is_asked and can_be_planned(s)]
        if shards:
            shard = self.random.choice(shards)
            assert shard.id is not None
            shard.rest.ask(self.now)
            state.stages[shard.id.stage].have_orders()
            self._do(actions.TellChildren(shard.id.stage))

    def withdraw(self) -> None:
        """Have stages planned anew that haven't started, whatever rules say of that."""
        state = remembered(self.tracker)
        waiting = [id for id in sorted(state.running) if is_waiting(state, state.stages[id])]
        if not waiting:
            return
        ids = with_followers(state, {self.random.choice(waiting)})
        stages = [state.stages[id] for id in ids]
        may_go = (is_waiting(state, stage) for stage in stages)
        if all(may_go) and all(can_be_planned(s) for stage in stages for s in stage.shards):
            withdraw(state, ids, self.now)
            self.handle(events.Ticked(self.is_alone))

    def lose(self, key: Key) -> None:
        """Let a stored value be found to be lost."""
        record = remembered(self.tracker).keys.get(key)
        if record is not None and record.state is KeyState.STORED:
            self.handle(events.ValueLost(key, MissingObjectError("lost")))

    def come_to_rest(self) -> None:
        """Let everything run until nothing happens any more."""
        for _ in range(20_000):
            steps = [
                self.take,
                self.dask.settle,
                self.plan,
                self.send,
                self.run,
                self.look,
                self.tick,
            ]
            self.random.shuffle(steps)
            if not any(step() for step in steps) and not self._last_look():
                return
        raise AssertionError("the world never comes to rest")

    def _last_look(self) -> bool:
        return any(self.look() for _ in range(30))

    def check_answers(self) -> None:
        """Assert, at rest, that every question has its answer and good keys have values."""
        for key, entry in self.dask.entries.items():
            assert entry.status not in (Status.WAITING, Status.PROCESSING), f"{key} hangs"
        assert self.tracker.is_idle

    def check_clean(self) -> None:
        """Assert, when all is forgotten, that nothing is left: no record, no object."""
        state = remembered(self.tracker)
        assert not self.dask.entries
        assert not state.keys
        assert not state.stages
        assert not state.running
        assert not state.drafts
        assert state.planning is None
        assert self.jobs.written <= self.deleted.keys(), self.jobs.written - self.deleted.keys()
        twice = {name for name, times in self.deleted.items() if times > 1}
        assert twice <= self.found_late
