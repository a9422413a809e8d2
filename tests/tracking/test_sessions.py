"""Random sessions of one run: they ask, release, recall, leave and are killed, each when it likes.

After each event all counters are counted again; at rest every question has its one answer; and
while nothing goes wrong, no output is made twice.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from random import Random

import pytest
from dask.typing import Key

from dask_knot.errors import JobError, MissingObjectError
from dask_knot.planning import Resources, make_plan
from dask_knot.run.names import PLANS_PER_SESSION, ManifestId, ShardId, StageId, session_of
from dask_knot.run.record import NO_DIGEST, PlanRecord, pieces
from dask_knot.session.known import KnownManifests
from dask_knot.session.recorder import Recorder
from dask_knot.session.submission import planned_events
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import ChildFailed, Ending, Graph
from dask_knot.tracking.tracker import Held, Tracker

from .jobs import NAMES, Jobs
from .memory import remembered
from .scheduler import Status
from .simulation import World
from .test_adoption import Log
from .test_simulation import worlds
from .universe import Universe, random_universe

#: Instead of the id of a job: there never will be one.
NEVER = ""


class SharedRun:
    """What sessions share: the record, the jobs and the store.

    Parameters
    ----------
    random : Random
        Decides everything that is open.
    is_calm : bool
        Nothing fails, and nobody lets go of anything or dies.
    are_alone : bool
        Whoever comes finds nobody there.
    """

    def __init__(self, random: Random, is_calm: bool, are_alone: bool) -> None:
        self.random = random
        self.is_calm = is_calm
        self.are_alone = are_alone
        self.universe: Universe = random_universe(random, 14)
        if is_calm:
            self.universe.poison, self.universe.raising = set(), set()
        self.jobs = Jobs(random, self.universe)
        self.jobs_stay = random.random() < 0.5
        self.log = Log()
        self.members: list[Member] = []
        self.alive: set[int] = set()

    def open(self) -> Member:
        """Let one more client open the run."""
        number = len(self.members)
        self.alive.add(number)
        self.members.append(member := Member(self, number))
        return member

    def close(self, member: Member) -> None:
        """Let a client vanish; where jobs are processes of its own, they end with it."""
        self.alive.discard(member.number)
        member.is_gone = True
        for id in self.jobs.jobs if not self.jobs_stay else ():
            if session_of(id.plan) == member.number:
                self.jobs.terminate(id)

    def present(self) -> list[Member]:
        """List the clients that are there."""
        return [member for member in self.members if not member.is_gone]

    def come_to_rest(self) -> None:
        """Let everything run until nothing happens any more."""
        for _ in range(20_000):
            if not any([member.go_on() for member in self.present()]) and not self._last_looks():
                return
        raise AssertionError("the run never comes to rest")

    def _last_looks(self) -> bool:
        return any([member.look() for _ in range(30) for member in self.present()])

    def check_submitted_once(self) -> None:
        """Assert that no work was submitted twice."""
        jobs = self.log.jobs
        plans = [
            entry
            for entry in self.log.entries
            if isinstance(entry, PlanRecord) and NEVER not in jobs[entry.number].values()
        ]
        made = Counter(d for plan in plans for d in pieces(plan.digests) if d != NO_DIGEST)
        assert {digest for digest, times in made.items() if times > 1} == set()


class Member(World):
    """A session: its own tracker and client, and the jobs and the record of all."""

    def __init__(self, run: SharedRun, number: int) -> None:
        super().__init__(run.random, run.universe)
        self.shared, self.number, self.jobs = run, number, run.jobs
        state = remembered(self.tracker)
        held = Held(number * PLANS_PER_SESSION)
        self.tracker = Tracker(NAMES, state.limits, Resources(), state.inflow.pace, held)
        self.recorder = Recorder(run.log, lambda: 0.0, number)  # type: ignore[arg-type]
        self.recorded: list[events.Event] = []
        self.is_gone = False
        self.adopting: dict[StageId, int] = {}
        self.found: dict[StageId, bool] = {}  # adopted stages: whether there is a job
        self.unsettled: set[StageId] = set()
        self.known = KnownManifests(self.tracker.opening)
        self.told: set[tuple[StageId, int]] = set()
        self.over: set[StageId] = set()
        self.handle(events.EntriesFound(self.recorder.news()))

    def _do(self, action: actions.Action) -> None:
        if isinstance(action, actions.AdoptStage):
            self.adopting[action.stage] = action.size
            self.unsettled.add(action.stage)
        elif isinstance(action, actions.WithdrawPlan):
            self.shared.log.note_jobs(action.number, dict.fromkeys(range(action.stages), NEVER))
        else:
            assert not isinstance(action, actions.DeleteObjects)
            super()._do(action)

    @property
    def is_alone(self) -> bool:
        return len(self.shared.alive) == 1

    def digests(self, graph: Graph) -> dict[Key, bytes]:
        """Digest tasks by their names: all that is outside is what it is called."""
        return {
            key: blake2b(repr(key).encode(), digest_size=16).digest()
            for key in graph.tasks.keys() - graph.literals
        }

    def submit(self, wanted: list[Key], outside: list[Key]) -> None:
        graph = self.universe.graph(wanted, outside)
        if all(key in self.dask.entries for key in graph.external):
            known = Graph(
                graph.tasks,
                graph.wanted,
                graph.literals,
                graph.external,
                priorities=graph.priorities,
                priority=graph.priority,
                digests=self.digests(graph),
            )
            self.handle(events.GraphSubmitted(known, is_held=True))
            self.dask.update_graph(known.wanted, known.external)
            self.handle(events.GraphTaken(known, {*known.wanted} & self.dask.entries.keys()))

    def plan(self) -> bool:
        """Record the plan that is being made, or hear what became of that."""
        if self.recorded:
            told, self.recorded = self.recorded, []
            for event in told:
                self.handle(event)
            return True
        if not self.plans:
            return False
        action = self.plans.pop()
        self.recorded = planned_events(self.recorder, action, make_plan(action.request))
        return True

    def read_record(self) -> None:
        """Read what others have recorded, as somebody does who recalls a key."""
        self.handle(events.EntriesFound(self.recorder.news()))

    def send(self) -> bool:
        if not self.submits:
            return False
        action = self.submits.popleft()
        if isinstance(action, actions.TerminateStage):
            if self.is_alone:
                self.watched.add(action.stage)
                self.jobs.terminate(action.stage)
            return True
        for failed in list(self.jobs.submit(action, 0.0)):
            self.handle(failed)
        stages = range(len(action.plan.stages))
        self.shared.log.note_jobs(action.number, dict.fromkeys(stages, "job"))
        return True

    def find(self) -> bool:
        """Look for the jobs of stages that are adopted."""
        for id in list(self.adopting):
            session = session_of(id.plan)
            noted = self.shared.log.jobs.get(id.plan, {}).get(id.stage)
            if id in self.jobs.jobs:
                self.found[id] = True
            elif noted == NEVER or session not in self.shared.alive:
                self.found[id] = False
            else:
                continue
            del self.adopting[id]
            return True
        return False

    def run(self) -> bool:
        self.jobs.may_lose_hosts = 0.0 if self.shared.is_calm or self._is_unlucky() else 0.02
        return self.jobs.step({})

    def _is_unlucky(self) -> bool:
        members = self.shared.members
        states = [remembered(member.tracker) for member in members]
        return any(r.attempts >= 2 for state in states for r in state.keys.values())

    def look(self) -> bool:
        """Look at the jobs, as lookout and watcher do."""
        stages = [id for id in self.tracker.open_stages() if id in self.jobs.jobs]
        stages = [id for id in stages if self._is_watched(id)]
        never = [id for id, is_there in self.found.items() if not is_there]
        found = self._found(stages)
        open_never = self.tracker.open_shards(never)
        found += [ChildFailed(id, Ending.LEFT, JobError("gone", "trouble")) for id in open_never]
        for event in found:
            self.handle(event)
        over = [id for id in stages if self.jobs.jobs[id].is_over]
        done = {NAMES.parse_manifest(name).shard for name in self.jobs.manifests if ".end" in name}
        for shard in self.tracker.open_shards(over):
            if shard not in done:
                self.handle(self._failed(shard, True))
                found.append(self._failed(shard, True))
        for id in sorted(self.unsettled & {*stages}):
            self.unsettled.discard(id)
            job = self.jobs.jobs[id]
            is_ours = self.shared.jobs_stay or session_of(id.plan) == self.number
            is_waitable = is_ours and not job.is_over and not job.endings
            self.handle(events.StageFound(id, is_waitable))
        for id in stages:
            if self.jobs.jobs[id].has_started:
                self.handle(events.StageStarted(id))
        return bool(found)

    def _is_watched(self, id: StageId) -> bool:
        return session_of(id.plan) == self.number or id in self.found

    def _found(self, stages: list[StageId]) -> list[events.Event]:
        first = {id for id in stages if id not in self.over}
        self.over |= first
        self.known.begin_look(stages, {id for id in stages if session_of(id.plan) != self.number})
        failed: list[events.Event] = []
        for id in stages:
            is_past = id in first and session_of(id.plan) != self.number
            for index in sorted(self.jobs.jobs[id].endings):
                if (id, index) not in self.told:
                    self.told.add((id, index))
                    failed.append(self._failed(ShardId(id, index), is_past))
        listed = [NAMES.parse_manifest(name) for name in sorted(self.jobs.manifests)]
        new = self.known.new([ManifestId(*id) for id in listed])
        found: list[events.Event] = []
        for id in new:
            name = NAMES.manifest(id.shard, id.part)
            manifest = self.jobs.told(id.shard, name)
            found.append(events.ManifestFound(id.shard, name, manifest, self.known.is_old(id)))
        self.known.note(new)
        return found + failed

    def _failed(self, shard: ShardId, is_past: bool) -> ChildFailed:
        job = self.jobs.jobs[shard.stage]
        ending = job.endings.get(shard.index, Ending.LEFT)
        blame = job.blame.get(shard.index, "trouble")
        is_left = is_past or ending is Ending.TERMINATED
        return ChildFailed(shard, Ending.LEFT if is_left else ending, JobError("failed", blame))

    def recall(self, key: Key) -> None:
        """Ask for a key by its name, if the run may have it and nobody asked for it here."""
        if key in self.dask.entries or not self.tracker.knows(key):
            return
        self.dask.update_graph([key], [])

    def go_on(self) -> bool:
        """Do one thing of each kind that can be done; tell whether there was one."""
        steps = [self.dask.settle, self.plan, self.send, self.find, self.run, self.look, self.tick]
        self.random.shuffle(steps)
        return any([step() for step in steps])

    def lose(self, key: Key) -> None:
        if self.tracker.place_of(key) is not None:
            self.handle(events.ValueLost(key, MissingObjectError("lost")))


def act(run: SharedRun) -> None:
    """Let somebody do something, at random."""
    random, present = run.random, run.present()
    is_time = not run.are_alone and random.random() < 0.01
    if len(run.members) < 6 and (not present or is_time):
        run.open()
        return
    if not present:
        return
    member = random.choice(present)
    dask = member.dask
    tasks = [key for key in run.universe.tasks if key not in run.universe.literals]
    held = [key for key, entry in dask.entries.items() if entry.is_held]
    erred = [key for key, entry in dask.entries.items() if entry.status is Status.ERRED]
    what = random.random()
    if what < 0.08:
        known = [key for key in tasks if key in dask.entries]
        outside = random.sample(known, random.randint(0, len(known)))
        member.submit(random.sample(tasks, min(len(tasks), random.randint(1, 4))), outside)
    elif what < 0.10:
        member.read_record()
    elif what < 0.12 and held and not run.is_calm:
        dask.release(random.choice(held))
    elif what < 0.13 and erred and not run.is_calm:
        dask.retry(random.choice(erred))
    elif what < (0.15 if run.are_alone and len(run.members) < 6 else 0.135) and not run.is_calm:
        run.close(member)
    elif what < (0.155 if run.are_alone else 0.14) and held and not run.is_calm:
        member.lose(random.choice(held))
    elif what < 0.18:
        member.now += random.choice((0.01, 0.2, 1.0))
    elif what < 0.24 and member.is_alone:
        random.choice((member.ask, member.ask, member.withdraw, member.mend))()
    else:
        steps = (dask.settle, dask.settle, member.plan, member.send, member.find, member.run)
        random.choice((*steps, member.run, member.look))()


def live(seed: int, is_calm: bool, steps: int = 400, are_alone: bool = False) -> SharedRun:
    """Run some clients until all of them are at rest."""
    run = SharedRun(Random(seed), is_calm, are_alone)
    run.universe.scattered.clear()
    for key, node in run.universe.tasks.items():
        reads = [read for read in node.dependencies if read in run.universe.tasks]
        run.universe.tasks[key] = type(node)(dict.fromkeys(reads).keys())
    run.open()
    if not are_alone:
        run.open()
    for _ in range(steps):
        act(run)
    run.come_to_rest()
    for member in run.present():
        member.check_answers()
    return run


@pytest.mark.parametrize("seed", worlds(150))
def test_all_get_all_and_nothing_runs_twice(seed: int) -> None:
    live(seed, is_calm=True).check_submitted_once()


@pytest.mark.parametrize("seed", worlds(150))
def test_whatever_becomes_of_others_every_question_has_one_answer(seed: int) -> None:
    live(seed, is_calm=False)


@pytest.mark.parametrize("seed", worlds(200))
def test_who_is_alone_mends_and_whoever_comes_later_goes_on(seed: int) -> None:
    live(5000 + seed, is_calm=False, are_alone=True)
