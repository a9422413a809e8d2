"""One shard from its bytes in the pack to its last manifest."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import dask
from dask.typing import Key

from dask_knot.collector import paused_collector
from dask_knot.job.attempts import read_parts, without_committed
from dask_knot.job.console import Printout
from dask_knot.job.farewell import Farewell
from dask_knot.job.inputs import Inputs
from dask_knot.job.outfit import Outfit, computing_here, outfitted, processes
from dask_knot.job.outputs import Outputs, SupersededError
from dask_knot.job.parts import Interest, Parts
from dask_knot.job.tasks import Pool, Shelf, Sink, run_at_once, run_in_order
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run
from dask_knot.run.work import ShardWork, decode
from dask_knot.task.context import enter, here, unpickling


def run_shard(run: Run, shard: ShardId, attempt: int, printed: Printout) -> None:
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
    outfit = Outfit(str(shard), run.read_plugins(opened.plugins))
    try:
        # Before the tasks are unpickled: they may need modules that a plugin brings.
        with outfitted(outfit):
            work = _decode(opened.frames)
            options = work.options
            outputs = Outputs(run, shard, work.outputs, attempt, options.notes_errors)
            if attempt > 1:
                begun = read_parts(run, shard)
                if begun is None:
                    return
                outputs.recover([part.manifest for part in begun.parts], begun.next_part)
                work = without_committed(work, begun.parts)
            seconds = options.part_seconds
            interest = Interest(run.at_once(), shard, seconds)
            sink = Parts(outputs, seconds, interest.is_gone)
            with Farewell(sink):
                _fetch_and_run(work, Inputs(run, work.inputs), sink, printed, outfit)
                # Before the plugins tear down: whatever that does, it costs no value.
                sink.finish()
    except SupersededError:
        return


def _decode(frames: memoryview) -> ShardWork:
    with paused_collector(), unpickling():
        work = decode(frames)
        gc.freeze()  # it lives as long as the job: the collector needs never look at it
    return work


def _fetch_and_run(
    work: ShardWork, inputs: Inputs, parts: Parts, printed: Printout, outfit: Outfit
) -> None:
    try:
        inputs.start(_first_use(work))
        with parts as sink:
            _run(work, inputs, sink, printed, outfit)
    finally:
        inputs.close()


def _first_use(work: ShardWork) -> list[Key]:
    order: dict[Key, None] = {}
    for node in work.tasks:
        for key in node.dependencies:
            if key in work.inputs:
                order[key] = None
    return list(order)


def _run(work: ShardWork, inputs: Inputs, sink: Sink, printed: Printout, outfit: Outfit) -> None:
    shelf = Shelf(work.tasks, work.literals, inputs)
    cores = min(work.options.cores, len(work.tasks))
    if cores > 1 and work.options.processes:
        with processes(cores, outfit) as executor:
            run_at_once(work.tasks, shelf, sink, Pool(executor, cores, processes=True))
        return
    with dask.config.set(computing_here(work.options.cores // max(cores, 1))):
        if cores <= 1:
            run_in_order(work.tasks, shelf, sink, printed)
        else:
            with ThreadPoolExecutor(cores, "dask-knot-task", enter, (here(),)) as executor:
                run_at_once(work.tasks, shelf, sink, Pool(executor, cores, processes=False))
