"""Where running tasks are: asked of their jobs, or of processes here that can't answer by now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dask_knot.errors import ConfigurationError
from dask_knot.run.asks import Answer
from dask_knot.run.names import ShardId, parse_shard, parse_stage
from dask_knot.run.trace import TracedJob, stacks_of, traced_jobs
from dask_knot.runs.inquiry import Crew, ask, meant

#: Why a job may not answer.
SILENT = (
    "A task may be holding the interpreter's lock (the GIL), as some C code does: then "
    "nothing else in its process can run, so it can't answer"
)
#: So many keys are named of those that run.
_NAMED = 8


@dataclass(frozen=True, slots=True)
class StackReport:
    """Where the threads of a job are."""

    title: str
    text: str


def report_stacks(
    crews: Sequence[Crew],
    text: str,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[StackReport]:
    """Tell where the tasks are that a text means.

    Parameters
    ----------
    crews : sequence of Crew
        The runs in which it may run.
    text : str
        A key or its beginning, a job's id with or without the number of a child, or a shard.
    now, pause : callable
        A clock that never goes back, and what waits for so many seconds.

    Raises
    ------
    ConfigurationError
        If nobody answers that he is meant; the message names what runs.
    StoreError
        If the store can't be read or written.
    """
    told: list[str] = []
    has_any = False
    for crew in crews:
        answers = ask(crew, text, now=now, pause=pause)
        for shard, answer in meant(text, answers).items():
            has_any = True
            yield StackReport(title_of(shard, answer), answer.stacks)
        told += [task.key for answer in answers.values() for task in answer.tasks]
        if not has_any:
            for shard, job in silent_jobs(crew, answers):
                if text in ("", job.job) or _means(text, shard) or not _is_id(text):
                    has_any = True
                    yield _unanswered(shard, job)
    if not has_any:
        raise nobody(text, crews, told)


def silent_jobs(crew: Crew, answers: dict[ShardId, Answer]) -> Iterator[tuple[ShardId, TracedJob]]:
    """Name the processes of this machine that run shards of a run, and haven't answered."""
    wanted = set(crew.shards) - answers.keys()
    for job in traced_jobs():
        shard = job.shard_of(crew.run.store_url, crew.run.name)
        if shard is not None and shard in wanted:
            yield shard, job


def nobody(text: str, crews: Sequence[Crew], told: Sequence[str]) -> ConfigurationError:
    """Say that nobody answers, and why that may be."""
    names = ", ".join(crew.run.name for crew in crews)
    if not any(crew.shards for crew in crews):
        return ConfigurationError(
            f"no job of {names} is under way; work that you requested a moment ago may not "
            "be submitted yet: try again"
        )
    if told:
        some = ", ".join(dict.fromkeys(told[:_NAMED])) + (", …" if len(told) > _NAMED else "")
        return ConfigurationError(
            f"no job of {names} is running {text!r} at the moment; running now: {some}"
        )
    return ConfigurationError(
        f"no job of {names} says that it is running {text!r}: it may be waiting, or have "
        f"finished. {SILENT}"
    )


def title_of(shard: ShardId, answer: Answer) -> str:
    """Say which process it is."""
    return f"{_named(answer.job, shard)}, process {answer.pid} on {answer.host}"


def _named(job: str, shard: ShardId) -> str:
    return f"job {job} ({shard})" if job else str(shard)


def _unanswered(shard: ShardId, job: TracedJob) -> StackReport:
    found = stacks_of(job.pid) or "its stack can't be read\n"
    title = (
        f"{_named(job.job, shard)}, process {job.pid}, which doesn't answer (innermost frame first)"
    )
    return StackReport(title, f"{SILENT}.\n\n{found}")


def _means(text: str, shard: ShardId) -> bool:
    return parse_shard(text) == shard or parse_stage(text) == shard.stage


def _is_id(text: str) -> bool:
    """Tell whether a text is the id of a job, a stage or a shard, and no key."""
    if parse_stage(text) or parse_shard(text):
        return True
    head = text.partition(":")[0]
    return head.count("-") >= 1 and all(letter in "0123456789abcdef-" for letter in head)
