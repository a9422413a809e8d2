"""Asks the jobs of a run that are under way: who runs what, and where that is.

A job looks now and then whether anything is asked. Whoever asks waits for that, and takes back what
he asked when he is done.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dask_knot.run.asks import Answer, Question, Wanted, fit
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.spelling import Fit
from dask_knot.runs.depot import Depot
from dask_knot.runs.jobs import KnownJobs, find_run_jobs
from dask_knot.runs.overview import look_at
from dask_knot.runs.reading import Observe
from dask_knot.runs.state import ShardCondition

#: Seconds in which jobs look whether anything is asked, where that costs nothing, and elsewhere
#: (as often as they look what their session wants), and some more for the answer.
NEAR, FAR = 4.0, 30.0
#: Seconds between two looks for answers, near and far.
NEAR_PAUSE, FAR_PAUSE = 0.5, 2.0
#: Where several may be meant, these seconds without another answer tell that there is none, near.
QUIET = 1.5
#: Seconds after which is asked again what somebody overwrote.
AGAIN = 5.0
#: More stages aren't asked where each costs a request.
MOST_STAGES = 200


@dataclass(frozen=True, slots=True)
class Crew:
    """The jobs of a run that are under way.

    Attributes
    ----------
    run : Run
        Where they look.
    engine : str
        What runs them.
    shards : sequence of ShardId
        Those that aren't done and that somebody makes: they run, or wait.
    depot : Depot
        How jobs on AWS are asked for.
    """

    run: Run
    engine: str
    shards: Sequence[ShardId]
    depot: Depot

    @property
    def stages(self) -> list[StageId]:
        """Their stages."""
        found = list(dict.fromkeys(shard.stage for shard in self.shards))
        return found[:MOST_STAGES] if self.run.inquiries.is_dear else found

    @property
    def patience(self) -> float:
        """Seconds until they all have looked whether anything is asked."""
        return FAR if self.run.inquiries.is_dear else NEAR

    @property
    def words(self) -> str:
        """Say what is waited for."""
        if self.run.inquiries.is_dear:
            return (
                f"waiting for the jobs of run {self.run.name} to check for requests (up to 20 s) …"
            )
        return f"asking the jobs of run {self.run.name} …"


def named_crew(depot: Depot, name: str, observe: Observe) -> Crew:
    """Find the jobs of a named run that are under way.

    Raises
    ------
    ConfigurationError
        If there is no such run.
    StoreError
        If it can't be read.
    """
    view, known = look_at(depot, name, observe)
    shards = view.progression().shards(ShardCondition.RUNNING, ShardCondition.UNKNOWN)
    if view.info.engine == "aws" and known.is_asked:
        shards = [shard for shard in shards if shard.stage in _open(known)]
    sessions = [who for who in view.sessions.values() if who is not None]
    return Crew(view.run, sessions[-1].engine if sessions else view.info.engine, shards, depot)


def unnamed_crew(depot: Depot, name: str, engine: str) -> Crew:
    """Find the jobs of a run without a record that may be under way.

    Raises
    ------
    ConfigurationError
        If there is no such store.
    StoreError
        If it can't be read.
    """
    run = depot.unrecorded(name)
    known = find_run_jobs(depot, name)
    if known.is_asked:
        shards = [
            ShardId(job.stage, index)
            for job in known.jobs.values()
            if not job.is_over
            for index in range(job.size)
        ]
        return Crew(run, engine, shards, depot)
    there = run.survey()
    ended = there.done | there.lost
    planned = sorted(run.inquiries.planned().items(), reverse=True)
    every = (ShardId(stage, index) for stage, size in planned for index in range(size))
    return Crew(run, engine, [shard for shard in every if shard not in ended], depot)


def _open(known: KnownJobs) -> set[StageId]:
    return {job.stage for job in known.open}


def ask(
    crew: Crew,
    text: str,
    wanted: Wanted = Wanted.STACKS,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> dict[ShardId, Answer]:
    """Ask jobs, and wait until one has answered whom just the text means, or all whom it may mean.

    Parameters
    ----------
    crew : Crew
        Who is asked.
    text : str
        Who is meant: a key that is run, a job, or a shard.
    wanted : Wanted
        What is asked.
    now, pause : callable
        A clock that never goes back, and what waits for so many seconds.

    Returns
    -------
    dict of ShardId to Answer
        `meant` tells who is meant: where that costs nothing, others tell what they run.

    Raises
    ------
    StoreError
        If the store can't be read or written.
    """
    question = Question(uuid.uuid4().hex[:12], text, wanted)
    inquiries, end = crew.run.inquiries, now() + crew.patience
    asked_at, heard_at, found = float("-inf"), now(), dict[ShardId, Answer]()
    try:
        while crew.stages and now() < end:
            if now() - asked_at >= AGAIN:
                asked_at = now()
                _tell(crew, question)
            pause(FAR_PAUSE if inquiries.is_dear else NEAR_PAUSE)
            before, found = found, inquiries.answers(question.id)
            if found.keys() != before.keys():
                heard_at = now()
            elif _is_enough(crew, text, found, now() - heard_at):
                break
    finally:
        take_back(crew, question.id)
        inquiries.forget_answers(question.id)
    return found


def _is_enough(crew: Crew, text: str, found: Mapping[ShardId, Answer], quiet: float) -> bool:
    """Tell whether nobody else need be waited for, so many seconds after the last answer."""
    best = max(fits_of(text, found).values(), default=Fit.NONE)
    if best in (Fit.NONE, Fit.WHOLE):
        return best is Fit.WHOLE
    return len(found) == len(crew.shards) or (quiet >= QUIET and not crew.run.inquiries.is_dear)


def meant(text: str, answers: Mapping[ShardId, Answer]) -> dict[ShardId, Answer]:
    """Choose the answers of those whom a text means: who runs just that key, before others."""
    fits = fits_of(text, answers)
    best = max(fits.values(), default=Fit.NONE)
    return {shard: answers[shard] for shard in fits if fits[shard] == best is not Fit.NONE}


def fits_of(text: str, answers: Mapping[ShardId, Answer]) -> dict[ShardId, Fit]:
    """Tell how well a text means each of those who have answered."""
    return {
        shard: fit(text, shard, answer.job, [task.key for task in answer.tasks])
        for shard, answer in answers.items()
    }


def _tell(crew: Crew, question: Question) -> None:
    for stage in crew.stages:
        asks = crew.run.inquiries.read(stage)
        if question not in asks.questions:
            crew.run.inquiries.tell(stage, asks.with_question(question))


def take_back(crew: Crew, id: str) -> None:
    """Take back what was asked, or that somebody watches."""
    for stage in crew.stages:
        asks = crew.run.inquiries.read(stage)
        if (left := asks.without(id)) != asks:
            crew.run.inquiries.tell(stage, left)
