"""Runs a task twice to tell what it takes from what the first of its kind in a process takes.

The first one imports modules, compiles, fills caches. In a job of a thousand tasks that is once; in
one that only tries a task it would be taken for the task's own time.
"""

from __future__ import annotations

from distributed.protocol import pickle

from dask_knot.internals import GraphNode
from dask_knot.job.console import Printout
from dask_knot.job.tasks import TaskOutcome, ValuesByKey, run_task
from dask_knot.job.usage import Usage
from dask_knot.run import scripts
from dask_knot.run.failure import Failure
from dask_knot.task.context import unpickling

#: What takes more seconds runs once: hardly anything takes so long to start that it would matter.
LONG = 10.0


class Tryout:
    """Runs tasks like `run_task`, but those that are short a second time, which counts.

    The first time a task has copies of all that it reads: if it changes them, no value that
    anybody will see is another one than without.

    Parameters
    ----------
    usage : Usage
        Tells what memory tasks take; the first time isn't to be counted.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def __call__(
        self, node: GraphNode, values: ValuesByKey, printed: Printout | None = None
    ) -> TaskOutcome:
        """Run one task."""
        try:
            with unpickling():
                copy, read = pickle.loads(bytes(scripts.dumps((node, values))))
        except (Exception, SystemExit):  # pickling runs user code: anything may come out
            return run_task(node, values, printed)
        first = run_task(copy, read, printed)
        del copy, read
        took = first.stop - first.start
        if took > LONG or isinstance(first.value, Failure):
            return first
        del first  # its value would be in the memory that the second one is seen to take
        self._usage.begin_anew()
        ended = run_task(node, values, printed)
        return ended._replace(startup=max(0.0, took - (ended.stop - ended.start)))
