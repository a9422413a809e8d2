"""Where the threads of a job are, those of its processes too: text for people."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator
from itertools import dropwhile

import psutil

from dask_knot.internals import TASK_FILE
from dask_knot.job import present
from dask_knot.run.asks import MOST_STACKS, PresentTask
from dask_knot.run.spelling import Fit, fit_of
from dask_knot.run.trace import stacks_of, task_of

#: Threads of the job's own, which nobody asks about, unless they run tasks.
_OWN = "dask-knot-"
#: The folder of what stands in the stack of the job's main thread.
_JOB = os.path.join("dask_knot", "job", "")
#: The file whose frame calls a task.
_CALL = os.path.join("dask_knot", "task", "subgraphs.py")
#: The folder of what may stand between that and the user's function.
_CALLED = os.path.join("dask_knot", "task", "")
#: So many threads are told of at most: those that run tasks, and then the others.
_MOST_THREADS = 50


def tasks_here() -> tuple[PresentTask, ...]:
    """Tell what the job runs, in threads or in processes: the longest first."""
    found = [*present.by_thread().values(), *(task for _, task in _in_processes())]
    return tuple(sorted(found, key=lambda one: -one.seconds))


def stacks_here(text: str = "") -> str:
    """Tell where the threads of the job are: first those that run tasks, the longest first.

    Before these are those that run the keys that a text means.
    """
    in_processes = [*_of_processes()]
    parts = [*_of_threads(bool(in_processes)), *in_processes]
    return "\n".join(sorted(parts, key=lambda part: -_fit_of(part, text)))[:MOST_STACKS]


def _of_threads(has_processes: bool) -> Iterator[str]:
    tasks, frames = present.by_thread(), sys._current_frames()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    there = [*(id for id in tasks if id in frames), *(id for id in frames if id not in tasks)]
    for id in there[:_MOST_THREADS]:
        name, lines = names.get(id, str(id)), traceback.format_stack(frames[id])
        if id in tasks:
            yield f"{headline(tasks[id])} in thread {name!r}\n" + "".join(_of_task(lines))
        elif not (name.startswith(_OWN) or ((tasks or has_processes) and _waits(lines))):
            yield f"thread {name!r}\n" + "".join(lines)
    left = len(there) - _MOST_THREADS
    if left > 0:
        yield f"and {left} more threads\n"


def _waits(lines: list[str]) -> bool:
    """Tell whether a stack is of the job's main thread, which waits for tasks that run."""
    return any(_JOB in line for line in lines)


def _of_task(lines: list[str]) -> list[str]:
    """Leave out of a stack what called the task: that is the same for all."""
    calling = next((number for number, line in enumerate(lines) if _CALL in line), None)
    if calling is None:
        return lines
    own = dropwhile(lambda line: _CALLED in line or TASK_FILE in line, lines[calling:])
    return [*own] or lines


def _of_processes() -> Iterator[str]:
    for pid, task in _in_processes():
        stacks = stacks_of(pid) or "its stack can't be read\n"
        yield f"{headline(task)} in process {pid} (innermost frame first)\n{stacks}"


def _in_processes() -> list[tuple[int, PresentTask]]:
    try:
        children = psutil.Process().children(recursive=True)
    except psutil.Error:
        return []
    found = [(child.pid, task_of(child.pid)) for child in children]
    there = [(pid, task) for pid, task in found if task is not None]
    return sorted(there, key=lambda one: -one[1].seconds)


def _fit_of(part: str, text: str) -> Fit:
    return fit_of(f"task {text}", part.partition("\n")[0]) if text else Fit.NONE


def headline(task: PresentTask) -> str:
    """Say which task it is, and for how long."""
    return f"task {task.key} for {task.seconds:.1f} s"
