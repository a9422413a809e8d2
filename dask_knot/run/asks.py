"""What people ask jobs that run, and what these answer: where they are, and how they fare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import NamedTuple

from dask.typing import Key

from dask_knot.run import note
from dask_knot.run.codec import Bytes
from dask_knot.run.names import ShardId, parse_shard, parse_stage
from dask_knot.run.note import NONSENSE, NoteKind, makes_no_sense
from dask_knot.run.spelling import Fit, fit_of, plain

#: So many questions to one stage are kept at most: older ones were given up.
MOST_QUESTIONS = 32
#: Longer texts of keys, and longer stacks, are cut off.
MOST_LETTERS = 500
MOST_STACKS = 200_000


class Wanted(Enum):
    """What a question is about."""

    STACKS = "stacks"  # where the threads of the job are
    PLACE = "place"  # which process it is, in which folder, with which environment


class Question(NamedTuple):
    """A question to the jobs that somebody means.

    Attributes
    ----------
    id : str
        Of this question alone.
    text : str
        Who is meant: a key that is run, a job's id, or a shard; empty: all.
    wanted : Wanted
        What is asked.
    """

    id: str
    text: str
    wanted: Wanted = Wanted.STACKS


@dataclass(frozen=True, slots=True)
class Asks:
    """All that people ask the children of a stage at the moment.

    Attributes
    ----------
    questions : tuple of Question
        Each is answered once by everybody whom it means.
    watch : str
        As long as this is another one now and then, somebody watches; empty: nobody does.
    """

    questions: tuple[Question, ...] = ()
    watch: str = ""

    def with_question(self, question: Question) -> Asks:
        """Add a question, or leave it as it is."""
        others = [one for one in self.questions if one.id != question.id]
        return replace(self, questions=(*others, question)[-MOST_QUESTIONS:])

    def watched(self, watch: str) -> Asks:
        """Say that somebody watches."""
        return replace(self, watch=watch)

    def without(self, id: str) -> Asks:
        """Take a question back, or a watch."""
        left = tuple(one for one in self.questions if one.id != id)
        return Asks(left, "" if self.watch == id else self.watch)

    def encode(self) -> list[Bytes]:
        """Write them."""
        questions = [(one.id, one.text, one.wanted.value) for one in self.questions]
        return note.encode(NoteKind.ASKS, {"questions": questions, "watch": self.watch})

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Asks:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.ASKS, name, data)
        try:
            asked = ((id, text, Wanted(wanted)) for id, text, wanted in fields["questions"])
            return cls(tuple(Question(*one) for one in asked), fields["watch"])
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


class PresentTask(NamedTuple):
    """A task that runs: its key as it is printed, and for how many seconds it has."""

    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job answers to a question.

    Attributes
    ----------
    job, attempt : str
        The id of the child at Batch, and which attempt of it this is.
    host, pid, folder : str, int, str
        Where its process is.
    tasks : tuple of PresentTask
        What runs, the longest first.
    stacks : str
        Where its threads are, the longest task first.
    private : str
        A file on its machine that only its user can read: the environment, as JSON.
    """

    job: str
    attempt: str
    host: str
    pid: int
    folder: str
    tasks: tuple[PresentTask, ...] = ()
    stacks: str = ""
    private: str = ""

    def encode(self) -> list[Bytes]:
        """Write it."""
        return note.encode(NoteKind.ANSWER, asdict(self))

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Answer:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.ANSWER, name, data)
        try:
            return cls(**{**fields, "tasks": _tasks(fields["tasks"])})
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a job fares, at one moment.

    Attributes
    ----------
    watch : str
        Whose watch it tells them for.
    number : int
        How often it told before.
    job, host, pid : str, str, int
        Which process it is.
    cpu : float
        The cores that it has used since it told last, of those that it may use: 1.5 is one and a
        half.
    cores : int
        How many tasks may run at once.
    memory, limit : int
        Bytes that all of its processes have, and may have; a limit of 0 isn't known.
    tasks : tuple of PresentTask
        What runs, the longest first.
    """

    watch: str
    number: int
    job: str
    host: str
    pid: int
    cpu: float
    cores: int
    memory: int
    limit: int = 0
    tasks: tuple[PresentTask, ...] = ()

    def encode(self) -> list[Bytes]:
        """Write them."""
        return note.encode(NoteKind.VITALS, asdict(self))

    @classmethod
    def decode(cls, name: str, data: Bytes) -> Vitals:
        """Read what `encode` wrote; raises what `note.decode` does."""
        fields = note.decode(NoteKind.VITALS, name, data)
        try:
            return cls(**{**fields, "tasks": _tasks(fields["tasks"])})
        except NONSENSE as error:
            raise makes_no_sense(name, error) from error


def _tasks(found: object) -> tuple[PresentTask, ...]:
    return tuple(PresentTask(str(key), float(seconds)) for key, seconds in found)  # type: ignore[attr-defined]


def printed(key: Key) -> str:
    """Print a key, not longer than people read."""
    return str(key)[:MOST_LETTERS]


def fit(text: str, shard: ShardId, job: str, keys: Sequence[str]) -> Fit:
    """Tell how well a text means a job: by a key that it runs, by its id, or by its shard.

    A key may be said as `fit_of` takes it; a job by the id of its array with the number of the
    child, or without where all of them are meant.
    """
    said = plain(text[:MOST_LETTERS])
    if said and (said == job or parse_shard(said) == shard):
        return Fit.WHOLE
    if said in ("", job.partition(":")[0]) or parse_stage(said) == shard.stage:
        return Fit.PARTS
    return max((fit_of(said, key) for key in keys), default=Fit.NONE)
