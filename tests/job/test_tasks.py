"""Memory is given back as soon as no task reads a value."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from dask_knot.job.tasks import run_task
from dask_knot.run.names import ShardId
from dask_knot.run.work import Options

from .runs import FIRST, SECOND, Rehearsal, made, ref, shard, task

_alive: dict[str, weakref.ref[Value]] = {}
_seen: dict[str, set[str]] = {}


class Value:
    """Something that can be watched."""


@pytest.fixture(autouse=True)
def _counted_references() -> Iterator[None]:
    """Show that values go without the collector, which may come late."""
    _alive.clear()
    _seen.clear()
    gc.disable()
    yield
    gc.enable()


def make(name: str, *read: object) -> Value:
    """Note which values are alive while this task runs, and make another."""
    _seen[name] = {key for key, reference in _alive.items() if reference() is not None}
    value = Value()
    _alive[name] = weakref.ref(value)
    return value


@pytest.mark.parametrize("cores", [1, 4])
def test_values_go_with_their_last_reader(run: Rehearsal, cores: int) -> None:
    tasks = [
        task("a", make, "a"),
        task("b", make, "b", ref("a")),
        task("c", make, "c", ref("a"), ref("b")),
        task("d", make, "d", ref("c")),
        task("e", make, "e", ref("d")),
    ]
    run.outcomes(shard(tasks, ["e"], options=Options(cores=cores)))
    assert _seen == {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"c"}, "e": {"d"}}


def test_values_that_nobody_here_reads_go_at_once(run: Rehearsal) -> None:
    run.outcomes(shard([task(name, make, name) for name in "abc"]))
    assert _seen == {"a": set(), "b": set(), "c": set()}


@pytest.mark.parametrize("cores", [1, 4])
def test_inputs_go_with_their_last_reader(run: Rehearsal, cores: int) -> None:
    source = shard([task("a", Loaded)])
    run.outcomes(source, FIRST)
    tasks = [
        task("b", make, "b", ref("a")),
        task("c", make, "c", ref("b")),
        task("d", make, "d", ref("c")),
    ]
    inputs = made(source, ShardId(FIRST, 0))
    run.outcomes(shard(tasks, ["d"], inputs, Options(cores=cores)), SECOND)
    assert _seen == {"b": {"loaded"}, "c": {"b"}, "d": {"c"}}


def test_a_failure_keeps_no_values() -> None:
    def fail(value: Value) -> None:
        raise LookupError("an error whose traceback has the value in it")

    value = Value()
    reference = weakref.ref(value)
    ended = run_task(task("bad", fail, ref("value")), {"value": value})
    del value
    assert reference() is None
    assert "LookupError" in ended.value.exception_text


class Loaded(Value):
    """A value that says when it comes out of the store."""

    def __setstate__(self, state: object) -> None:
        _alive["loaded"] = weakref.ref(self)

    def __getstate__(self) -> str:
        return "something, or it would not be set"
