"""Runs a task again to tell what it takes from what the first of its kind in a process takes.

The first one imports modules, compiles, fills caches. In a job of a thousand tasks that is once; in
one that only tries a task it would be taken for the task's own time.
"""

from __future__ import annotations

from contextlib import suppress

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
#: What takes less runs three times: memory that a process has had once is there sooner.
SHORT = 1.0


class Tryout:
    """Runs tasks like `run_task`, but those that are short once or twice more; the last one counts.

    Before that a task has copies of all that it reads: if it changes them, no value that anybody
    will see is another one than without.

    Parameters
    ----------
    usage : Usage
        Tells what memory tasks take; what goes before isn't to be counted.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def __call__(
        self, node: GraphNode, values: ValuesByKey, printed: Printout | None = None
    ) -> TaskOutcome:
        """Run one task."""
        try:
            pickled = bytes(scripts.dumps((node, values)))
            first = _rehearse(pickled, printed)
        except (Exception, SystemExit):  # pickling runs user code: anything may come out
            return run_task(node, values, printed)
        took = first.stop - first.start
        if took > LONG or isinstance(first.value, Failure):
            return first
        del first  # its value would be in the memory that the last one is seen to take
        if took < SHORT:
            with suppress(Exception, SystemExit):
                _rehearse(pickled, printed)
        del pickled
        self._usage.begin_anew()
        ended = run_task(node, values, printed)
        return ended._replace(startup=max(0.0, took - (ended.stop - ended.start)))


def _rehearse(pickled: bytes, printed: Printout | None) -> TaskOutcome:
    """Run a copy of a task that was pickled with what it reads."""
    with unpickling():
        copy, read = pickle.loads(pickled)
    return run_task(copy, read, printed)
