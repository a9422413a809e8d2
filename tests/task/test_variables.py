"""Variables are set while a task runs, and for that task only."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from dask._task_spec import Task, TaskRef
from distributed.protocol import pickle

from dask_knot.job.tasks import run_task
from dask_knot.task.variables import TaskWithVariables


def look(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


async def look_later(name: str) -> str | None:
    return os.environ.get(name)


def raising() -> None:
    raise ValueError(os.environ["KNOT_A"])


def test_they_are_set_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOT_A", "before")
    node = Task("x", look, "KNOT_A", "KNOT_B", TaskRef("c"))
    task = TaskWithVariables(node, {"KNOT_A": "1", "KNOT_B": "2"}).task()
    assert (task.key, task.dependencies) == ("x", {"c"})
    assert pickle.loads(pickle.dumps(task))({"c": "KNOT_C"}) == ["1", "2", None]
    assert look("KNOT_A", "KNOT_B") == ["before", None]


def test_they_are_restored_after_an_error_and_a_coroutine_has_them() -> None:
    with pytest.raises(ValueError, match="one"):
        TaskWithVariables(Task("x", raising), {"KNOT_A": "one"}).task()({})
    node = TaskWithVariables(Task("x", look_later, "KNOT_A"), {"KNOT_A": "two"}).task()
    assert run_task(node, {}).value == "two"
    assert look("KNOT_A") == [None]


def test_those_that_want_the_same_run_together_and_others_wait() -> None:
    both, go = threading.Barrier(2), threading.Event()
    found: list[Any] = []

    def meet() -> None:
        both.wait(60)
        go.wait(60)
        found.append(look("KNOT_A"))

    def run(call: Any, variables: dict[str, str]) -> threading.Thread:
        task = TaskWithVariables(Task("x", call), variables).task()
        thread = threading.Thread(target=task, args=({},))
        thread.start()
        return thread

    threads = [run(meet, {"KNOT_A": "1"}) for _ in range(2)]
    threads.append(run(lambda: found.append(look("KNOT_A")), {}))
    go.set()
    for thread in threads:
        thread.join(60)
    assert sorted(found, key=str) == [["1"], ["1"], [None]]
