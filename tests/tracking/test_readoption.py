"""What is adopted once more, or under two names, or would be and must not."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from dask.typing import Key

from dask_knot.run.manifest import Kind, Manifest, Output, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import events
from dask_knot.tracking.events import Ending

from .hands import NAMES, graph
from .memory import remembered
from .test_adoption import TASKS, Holder, Log

#: The run id of a question.
ASKED = 77


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def test_what_a_mistake_or_the_end_of_the_run_has_ended_is_made_anew() -> None:
    holder = Holder(Log(), 0)
    holder.ask(TASKS, *TASKS)
    holder.plan()
    holder.done += holder.tracker.give_up(OSError("somebody has ended the run"))
    holder.forget(*TASKS)
    holder.ask(TASKS, *TASKS)
    assert holder.plan_all() == ["a", "b", "c"]


def test_what_batch_has_refused_is_submitted_anew() -> None:
    holder = Holder(Log(), 0)
    holder.ask(TASKS, *TASKS)
    holder.plan()
    holder.tell(events.SubmissionFailed(StageId(0, 0), OSError("refused")))
    holder.forget(*TASKS)
    holder.ask(TASKS, *TASKS)
    assert holder.plan_all() == ["a", "b", "c"]


def test_what_a_child_was_told_that_nobody_needs_is_made_anew() -> None:
    holder = Holder(Log(), 0)
    holder.ask(TASKS, *TASKS)
    holder.plan()
    holder.forget("a")
    holder.ask({"a": []}, "a")
    assert holder.plan_all() == ["a"]


def test_an_adopted_shard_has_its_own_size() -> None:
    reads: dict[Key, list[Key]] = {"a": [], "b1": [], "b2": ["b1"]}
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    first.ask(reads, *reads)
    first.plan()
    second.tell(events.EntriesFound(second.recorder.news()))
    second.ask(reads, *reads)
    sizes = [
        [shard.size for shard in remembered(holder.tracker).stages[StageId(0, 0)].shards]
        for holder in (first, second)
    ]
    assert sizes[0] == sizes[1]
    assert len({*sizes[0]}) > 1


def test_one_output_is_had_under_two_names() -> None:
    log = Log()
    first = Holder(log, 0)
    first.submit({"one": []}, "one", digests={"one": digest("same")})
    first.plan()
    second = Holder(log, 1)
    second.submit({"uno": []}, "uno", digests={"uno": digest("same")})
    second.tell(events.KeyRecalled("one", ASKED))
    second.find(first.shard_of("one"))
    assert second.answers() == {"uno": "done", "one": "done"}
    second.forget("uno")
    second.submit({"uno": []}, "uno", digests={"uno": digest("same")})
    second.find(first.shard_of("one"))
    second.forget("one", "uno")
    assert second.is_clean()


def test_what_reads_adopted_values_is_foreseen() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    first.submit({"a": []}, "a", digests={"a": digest("a")})
    first.plan()
    second.tell(events.EntriesFound(second.recorder.news()))
    later = graph({"a": [], "new": ["a"]}, ["new"], digests={"a": digest("a")})
    request, *_ = second.tracker.foresee(later)
    assert request is not None
    assert [*request.dependencies] == ["new"]


def part(id: ShardId, *ordinals: int, opening: int | None = None) -> events.ManifestFound:
    """Let a shard commit some of its values."""
    name = NAMES.manifest(id, 0)
    made = [Output(n, Kind.FINISHED, Place(name, n, 1), 8, 0, 1.0, 2.0) for n in ordinals]
    manifest = Manifest(False, 1, made, [(b"pickled", "int")])
    return events.ManifestFound(id, name, manifest, is_old=True, opening=opening)


def two_of_one_shard() -> tuple[Holder, ShardId]:
    """Open a run in which another session has planned one shard that makes x and y."""
    log = Log()
    first = Holder(log, 0)
    reads: dict[Key, list[Key]] = {"x": [], "y": ["x"]}
    first.ask(reads, *reads)
    first.plan()
    assert first.shard_of("x") == first.shard_of("y")
    return Holder(log, 1), first.shard_of("x")


def test_what_a_part_has_told_is_there_for_who_asks_later() -> None:
    second, id = two_of_one_shard()
    second.tell(events.KeyRecalled("x", ASKED))
    second.tell(part(id, 0, 1))
    second.tell(events.KeyRecalled("y", ASKED))  # its part won't be read once more
    assert second.answers() == {"x": "done", "y": "done"}
    second.fail(id, Ending.LEFT)
    second.forget("x", "y")
    assert second.is_clean()


def test_a_shard_that_is_opened_once_more_is_not_lost_before_it_is_looked_at() -> None:
    second, id = two_of_one_shard()
    second.tell(events.KeyRecalled("x", ASKED))
    earlier = second.tracker.opening(id)
    second.tell(part(id, 0, opening=earlier))
    second.forget("x")
    assert second.tracker.opening(id) is None
    second.tell(events.KeyRecalled("y", ASKED))
    now = second.tracker.opening(id)
    assert now != earlier
    lost = events.ChildFailed(id, Ending.LEFT, OSError("gone"), earlier)
    second.tell(part(id, 1, opening=earlier), lost)  # seen before it was opened for y
    assert second.answers() == {"x": "done"}
    second.tell(part(id, 1, opening=now), replace(lost, opening=now))
    assert second.answers() == {"x": "done", "y": "done"}
    second.forget("y")
    assert second.is_clean()
