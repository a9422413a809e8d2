"""A plan goes out: its packs into the store, its stages to Batch, in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import cast

from dask.typing import Key

from dask_knot.batch.endings import ENDED_RUN, UNNEEDED
from dask_knot.batch.service import JobService
from dask_knot.errors import (
    CorruptObjectError,
    InternalError,
    MissingObjectError,
    ReadOnlyStoreError,
    RunDeletedError,
)
from dask_knot.graphs.constants import Constant
from dask_knot.internals import GraphNode
from dask_knot.planning import Plan, Resources, Shard, Stage
from dask_knot.run.failure import fail
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.orders import Orders
from dask_knot.run.run import Run
from dask_knot.run.work import ConstantPlace, Options, ShardOutput, ShardWork, Source
from dask_knot.session.bundles import JobBundle
from dask_knot.session.constants import StoredConstants
from dask_knot.session.jobfinder import NEVER
from dask_knot.session.neighbors import Neighbors
from dask_knot.session.outages import Endurance, tolerate
from dask_knot.session.plugins import JobPlugins
from dask_knot.session.purse import Purse
from dask_knot.session.recorder import Recorder
from dask_knot.tracking.actions import MakePlan, SubmitPlan
from dask_knot.tracking.events import (
    EntriesFound,
    Event,
    Node,
    PlanMade,
    PlanOutrun,
    SubmissionFailed,
)


@dataclass(frozen=True, slots=True)
class Submitter:
    """Writes packs and submits stages; everything here blocks, so call it in a thread.

    In a named run there is a `recorder`, and `neighbors`: other sessions learn the ids of jobs,
    and none is ended that they may wait for.
    """

    run: Run
    service: JobService
    options: Options
    constants: StoredConstants
    endurance: Endurance
    plugins: JobPlugins = field(default_factory=JobPlugins)
    bundle: JobBundle = field(default_factory=JobBundle)
    recorder: Recorder | None = None
    neighbors: Neighbors | None = None
    purse: Purse | None = None
    _spared: dict[StageId, str] = field(default_factory=dict)  # since others were there
    _overtaken: dict[StageId, set[int]] = field(default_factory=dict)

    def record(self, action: MakePlan, plan: Plan) -> list[Event]:
        """Write a plan into the record of a named run, and tell what the tracker is to know of it.

        Raises
        ------
        StoreError
            If it can't be written.
        BudgetError
            If it costs more than may be spent.
        """
        if self.purse is not None:
            self.purse.admit(action.number, plan)
        if self.recorder is None or not plan.stages:
            return [PlanMade(action.number, plan)]
        call = partial(planned_events, self.recorder, action, plan)
        try:
            return self.endurance.call(_UNSUBMITTED, call)
        except Exception as error:  # it may be written, and nobody will submit it
            if not isinstance(error, ReadOnlyStoreError | RunDeletedError):
                self.withdraw(action.number, len(plan.stages))
            raise

    def submit(self, action: SubmitPlan) -> Iterator[SubmissionFailed]:
        """Submit all stages of a plan; yield those that could not be.

        While AWS is away, it waits, and all that is to be submitted later behind it.
        """
        yield from self._submit(action)
        if self.recorder is not None:
            ids = [StageId(action.number, n) for n in range(len(action.plan.stages))]
            jobs = self.service.jobs
            noted = {id.stage: jobs[id].id if id in jobs else NEVER for id in ids}
            # If that fails they are found by their names.
            tolerate(_UNNOTED, self.run.record.note_jobs, action.number, noted)

    def told(self, plan: int) -> None:
        """Note that the tracker knows what became of a plan."""
        if self.purse is not None:
            self.purse.told(plan)

    def withdraw(self, plan: int, stages: int) -> None:
        """Tell other sessions that a plan which was recorded will never be submitted."""
        if self.recorder is not None:
            tolerate(_UNNOTED, self.recorder.withdraw, plan, stages)

    def _submit(self, action: SubmitPlan) -> Iterator[SubmissionFailed]:
        sources = {key: _source(key, value) for key, value in action.inputs.items()}
        supplies = cache(self._publish)  # once: a plan is of one time, and a look at files takes it
        for index, stage in enumerate(action.plan.stages):
            if self.service.is_closed:  # nobody waits for what is left
                return
            id = StageId(action.number, index)
            try:
                call = partial(self._submit_stage, id, stage, action, sources, supplies)
                self.endurance.call(_UNSUBMITTED, call)
            except Exception as error:  # a mistake of ours ends this stage, too, and no other
                told = InternalError.of(error)
                self.service.refuse(id, told)
                yield SubmissionFailed(id, told)
            for child, shard in enumerate(stage.shards):
                made = ShardId(id, child)
                sources.update((key, ShardOutput(made, n)) for n, key in enumerate(shard.outputs))

    def _submit_stage(
        self,
        id: StageId,
        stage: Stage,
        action: SubmitPlan,
        sources: Mapping[Key, Source],
        supplies: Callable[[], tuple[str, str]],
    ) -> None:
        self.service.check_upstream(id, stage)
        constants = _constants(stage, action.tasks)
        places = self.constants.put(id, constants)
        stored = {key: ConstantPlace(p, constants[key].is_fixed) for key, p in places.items()}
        works = [self._work(shard, action, sources, stored) for shard in stage.shards]
        url = self.run.write_pack(id, works, *supplies())
        self.service.submit(id, stage, url)

    def _publish(self) -> tuple[str, str]:
        return self.plugins.publish(self.run), self.bundle.publish(self.run)

    def close(self) -> None:
        """Submit nothing more: a plan that is under way ends with the stage that it is at."""
        self.service.is_closed = True
        self.endurance.end()

    def has_job(self, stage: StageId) -> bool:
        """Tell whether a stage was taken by Batch, and isn't forgotten."""
        return stage in self.service.jobs

    def terminate(self, stages: Sequence[StageId], reason: str) -> None:
        """End the jobs of stages, also if AWS is away for long.

        Those that can't be ended, or others may wait for, run on.
        """
        call = partial(self._terminate, stages, reason)
        tolerate("jobs could not be stopped", self.endurance.call, _UNENDED, call)

    def end_spared(self, needed: Callable[[], Collection[StageId]]) -> None:
        """End the jobs that were left to other sessions, once no other one is there.

        One that vanished is taken to be there for a while.

        Parameters
        ----------
        needed : callable
            Names the stages that are needed here, again.
        """
        if self._spared and self._is_alone():
            here = set(needed())
            for id, reason in list(self._spared.items()):
                del self._spared[id]
                if id not in here:
                    self.service.terminate([id], reason)

    def tell_children(self, stage: StageId, orders: Orders) -> None:
        """Tell the children of a stage what they are to do; or they run on, unharmed."""
        tolerate("running jobs could not be told what to do", self._tell, stage, orders)

    def start_twin(self, shard: ShardId) -> None:
        """Run a shard a second time, beside its child; if that fails, nobody waits for it."""
        call = self.service.start_twin, shard, self.run.url_of(shard.stage)
        tolerate(f"{shard} could not be started a second time", *call)

    def note_overtaken(self, shard: ShardId) -> None:
        """Note that a shard which runs twice is over: what still runs of it is told to end."""
        self._overtaken.setdefault(shard.stage, set()).add(shard.index)

    def end_twin(self, shard: ShardId) -> None:
        """End the twin of a shard that is over, also if AWS is away for long."""
        call = partial(self.service.twins.end, shard, UNNEEDED)
        tolerate("jobs could not be stopped", self.endurance.call, _UNENDED, call)

    def release(self, deleted: Sequence[str]) -> list[str]:
        """Note that objects are going to be deleted, and name all that go with them."""
        return [*deleted, *self.constants.release(deleted)]

    def write_again(self, names: Collection[str]) -> None:
        """Note that jobs may have found shared objects gone or damaged: they come anew."""
        self.constants.forget(names)
        self.plugins.forget()
        self.bundle.forget()

    def _is_alone(self) -> bool:
        return self.neighbors is None or not self.neighbors.others()

    def _terminate(self, stages: Sequence[StageId], reason: str) -> None:
        if reason == ENDED_RUN or self._is_alone():
            self.service.terminate(stages, reason)
        else:
            self._spared.update(dict.fromkeys(stages, reason))

    def _tell(self, stage: StageId, orders: Orders) -> None:
        overtaken = self._overtaken.get(stage, ())
        unneeded = orders.unneeded.union(overtaken) if self._is_alone() else frozenset[int]()
        asked = orders.asked
        if asked and self.recorder is not None:
            asked |= self._asked_by_others(stage)
        if unneeded or asked:
            self.run.tell_orders(stage, Orders(unneeded, asked))

    def _asked_by_others(self, stage: StageId) -> frozenset[int]:
        """Name the children that were asked to hand over: several sessions may ask one stage."""
        try:
            return self.run.read_orders(stage).asked
        except (MissingObjectError, CorruptObjectError):
            return frozenset()

    def _work(
        self,
        shard: Shard,
        action: SubmitPlan,
        sources: Mapping[Key, Source],
        stored: Mapping[Key, ConstantPlace],
    ) -> ShardWork:
        constants = {key: stored[key] for key in shard.literals if key in stored}
        tasks = cast(Mapping[Key, GraphNode], action.tasks)
        return ShardWork(
            [tasks[key] for key in shard.tasks],
            [tasks[key] for key in shard.literals if key not in constants],
            {key: sources[key] for key in shard.inputs} | constants,
            shard.outputs,
            self.options,
        )


def job_script(service: JobService, run: Run, size: Resources) -> str:
    """Show the requests for a stage of two shards."""
    id = StageId(0, 0)
    empty = Shard((), (), (), (), 0.0)
    definition = service.definition(size)
    name, url = definition["jobDefinitionName"], run.url_of(id)
    request = {**service.request(id, Stage((empty, empty), size), url, name)}
    return json.dumps({"RegisterJobDefinition": definition, "SubmitJob": request}, indent=2)


def planned_events(recorder: Recorder, action: MakePlan, plan: Plan) -> list[Event]:
    """Write a plan down, and tell of that, and of what others have written meanwhile."""
    made, found = recorder.record(action, plan)
    news: list[Event] = [EntriesFound(found)] if found else []
    return [*news, PlanMade(action.number, plan, made) if made else PlanOutrun(action.number)]


_UNENDED = "jobs that nobody needs can't be stopped at the moment, trying again"
_UNSUBMITTED = "new work can't be submitted at the moment, trying again"
_UNNOTED = "other sessions could not be told the ids of jobs"


def _constants(stage: Stage, tasks: Mapping[Key, Node]) -> dict[Key, Constant]:
    """Find the constants that the shards of a stage read, in the order in which they do."""
    keys = dict.fromkeys(key for shard in stage.shards for key in shard.literals)
    return {key: node for key in keys if isinstance(node := tasks[key], Constant)}


def _source(key: Key, value: Place | tuple[ShardId, int] | Exception) -> Source:
    if isinstance(value, Exception):
        return fail(value, key)
    return value if isinstance(value, Place) else ShardOutput(*value)
