"""A task that was made in a span has it among its annotations, whatever it reads."""

from __future__ import annotations

import asyncio

import dask
from dask._task_spec import Task, TaskRef
from distributed.protocol import pickle

from dask_knot.job.tasks import run_task
from dask_knot.task.retries import TaskWithRetries
from dask_knot.task.spans import TaskInSpan

SPAN = {"name": ("a",), "ids": ("1",)}


def test_it_is_there_while_the_task_runs_only() -> None:
    node = Task("b", lambda x, y: (x, y, dask.get_annotations()), TaskRef("a"), 2)
    spanned = TaskInSpan(node, SPAN).task()
    assert spanned.key == "b"
    assert spanned.dependencies == {"a"}
    assert pickle.loads(pickle.dumps(spanned))({"a": 1}) == (1, 2, {"span": SPAN})
    assert dask.get_annotations() == {}


def test_each_try_has_it() -> None:
    tries: list[object] = []

    def fail_first() -> object:
        tries.append(dask.get_annotations().get("span"))
        if len(tries) < 2:
            raise ValueError
        return tries[-1]

    assert TaskWithRetries(TaskInSpan(Task("a", fail_first), SPAN).task(), 1).task()({}) == SPAN
    assert tries == [SPAN, SPAN]


def test_a_coroutine_has_it_until_its_end() -> None:
    async def look() -> object:
        await asyncio.sleep(0)
        return dask.get_annotations()

    assert run_task(TaskInSpan(Task("a", look), SPAN).task(), {}).value == {"span": SPAN}
