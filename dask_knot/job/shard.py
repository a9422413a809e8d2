"""One shard from its bytes in the pack to its last manifest."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import NamedTuple

import dask
from dask.typing import Key

from dask_knot.collector import paused_collector
from dask_knot.internals import GraphNode
from dask_knot.job import present
from dask_knot.job.agenda import Agenda
from dask_knot.job.attempts import NOTHING, EarlierParts, is_twin, read_parts, without_committed
from dask_knot.job.bundles import own_modules
from dask_knot.job.burden import memory_limit
from dask_knot.job.console import Printout
from dask_knot.job.farewell import Farewell
from dask_knot.job.handover import HandOver
from dask_knot.job.inputs import Inputs, window_within
from dask_knot.job.machine import JobSite
from dask_knot.job.outfit import Outfit, computing_here, outfitted, processes
from dask_knot.job.outputs import Outputs, SupersededError
from dask_knot.job.parts import Interest, Parts, Rhythm
from dask_knot.job.tasks import Pool, Shelf, run_at_once, run_in_order, run_task
from dask_knot.job.tryout import Tryout
from dask_knot.job.witness import Witness
from dask_knot.run.names import ShardId
from dask_knot.run.orders import Claimant
from dask_knot.run.run import Run
from dask_knot.run.work import Options, ShardWork, decode
from dask_knot.task.context import enter, here, unpickling
from dask_knot.task.worker import JobWorker


class Bench(NamedTuple):
    """What tasks of a shard are run with."""

    options: Options
    shelf: Shelf
    sink: Parts
    printed: Printout
    outfit: Outfit


def run_shard(
    run: Run, shard: ShardId, attempt: int, printed: Printout, where: JobSite | None = None
) -> None:
    """Run the tasks of a shard and commit their outcomes.

    Parameters
    ----------
    run : Run
        The run that the shard belongs to.
    shard : ShardId
        Which shard.
    attempt : int
        Which attempt of the child this is, from 1; a later one goes on after the parts that an
        earlier one committed.
    printed : Printout
        What tasks print.
    where : JobSite, optional
        Where this runs, and since when.

    Raises
    ------
    StoreError
        If the store can't be read or written.
    NotLoadedError
        If the tasks can't be unpickled here.
    VersionsError
        If the client has other versions than those here.
    PluginError
        If a worker plugin can't set up this process.
    """
    opened = run.read_shard(shard)
    sys.argv = opened.argv  # the client's: modules that tasks import may look at it
    outfit = Outfit(str(shard), run.supplies.read_plugins(opened.plugins))
    modules = own_modules(run.supplies.read_bundle(opened.bundle))
    try:
        # Before the tasks are unpickled: they may need the user's modules, or what a plugin brings.
        with modules, outfitted(outfit):
            work, given_up = _decode(opened.frames), frozenset[Key]()
            earlier = read_parts(run, shard) if attempt > 1 else NOTHING
            if earlier is None:
                return
            outputs = Outputs(run, shard, work.outputs, attempt, work.options.notes_errors, where)
            outputs.recover(earlier)
            if attempt > 1:
                work, given_up = without_committed(work, earlier)
            inputs = Inputs(run, work.inputs, window_within(memory_limit()))
            shelf = Shelf(work.tasks, work.literals, inputs)
            agenda = Agenda(work.tasks, given_up)
            handover = HandOver(agenda, shelf, outputs, partial(run.claim, shard, Claimant.CHILD))
            hasty, seconds = run.at_once(), work.options.part_seconds
            rhythm = Rhythm(seconds, work.options.news_seconds)
            witness = Witness(hasty, shard, work.options.cores)
            interest = Interest(hasty, shard, seconds, witness.call)
            sink = Parts(outputs, rhythm, interest, handover)
            with closing(outputs), Farewell(sink), witness:
                bench = Bench(work.options, shelf, sink, printed, outfit)
                _fetch_and_run(agenda, inputs, bench)
                if is_twin(attempt):
                    _check_is_alone(run, shard, earlier)
                # Before the plugins tear down: whatever that does, it costs no value.
                sink.finish()
    except SupersededError:
        return


def _decode(frames: memoryview) -> ShardWork:
    with paused_collector(), unpickling():
        work = decode(frames)
        gc.freeze()  # it lives as long as the job: the collector needs never look at it
    return work


def _check_is_alone(run: Run, shard: ShardId, known: EarlierParts) -> None:
    """End a twin if its shard has handed over since it began: its last manifest would be wrong."""
    found = read_parts(run, shard)
    if found is None or (found.handed is None) != (known.handed is None):
        raise SupersededError(shard)


def _fetch_and_run(agenda: Agenda, inputs: Inputs, bench: Bench) -> None:
    try:
        inputs.start(_first_use(agenda, inputs))
        with bench.sink:
            tasks = agenda.tasks
            while True:
                _run(tasks, bench)
                tasks = bench.sink.settle()
                if not tasks:
                    return
    finally:
        inputs.close()


def _enter(worker: JobWorker) -> None:
    """Make a thread ready for tasks."""
    enter(worker)
    present.register()


def _first_use(agenda: Agenda, inputs: Inputs) -> list[Key]:
    order: dict[Key, None] = {}
    for node in agenda.kept_first():
        for key in node.dependencies:
            if key in inputs:
                order[key] = None
    return list(order)


def _run(tasks: Sequence[GraphNode], bench: Bench) -> None:
    options, shelf, sink, printed, outfit = bench
    cores = min(options.cores, len(tasks))
    sink.usage.is_alone, sink.usage.is_here = cores <= 1, cores <= 1 or not options.processes
    if cores > 1 and options.processes:
        with processes(cores, outfit) as executor:
            run_at_once(tasks, shelf, sink, Pool(executor, cores, processes=True))
        return
    with dask.config.set(computing_here(options.cores // max(cores, 1))):
        if cores <= 1:
            run = Tryout(sink.usage) if options.is_trial else run_task
            run_in_order(tasks, shelf, sink, printed, run)
        else:
            with ThreadPoolExecutor(cores, "dask-knot-task", _enter, (here(),)) as executor:
                run_at_once(tasks, shelf, sink, Pool(executor, cores, processes=False))
