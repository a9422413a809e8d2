"""What is asked of jobs, and what they answer: formats, and who is meant by a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import CorruptObjectError
from dask_knot.run.asks import (
    MOST_QUESTIONS,
    Answer,
    Asks,
    PresentTask,
    Question,
    Vitals,
    Wanted,
    fit,
)
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.spelling import Fit

SHARD = ShardId(StageId(3, 1), 7)
JOB = "0a1b2c3d-0000-4000-8000-0123456789ab:7"
TEXTS = st.text(max_size=20)
QUESTIONS = st.builds(Question, TEXTS, TEXTS, st.sampled_from(Wanted))


@given(st.lists(QUESTIONS, max_size=5), TEXTS)
def test_asks_are_read_as_they_were_written(questions: list[Question], watch: str) -> None:
    asks = Asks(tuple(questions), watch)
    assert Asks.decode("name", b"".join(asks.encode())) == asks


@given(TEXTS, st.lists(st.tuples(TEXTS, st.floats(0, 1e9)), max_size=3))
def test_answers_are_read_as_they_were_written(text: str, tasks: list[tuple[str, float]]) -> None:
    there = tuple(PresentTask(*one) for one in tasks)
    answer = Answer(text, "1", "host", 12, "/folder", there, text, "/tmp/file")
    assert Answer.decode("name", b"".join(answer.encode())) == answer
    vitals = Vitals(text, 3, "job", "host", 12, 1.5, 2, 2**30, 2**31, there)
    assert Vitals.decode("name", b"".join(vitals.encode())) == vitals


@pytest.mark.parametrize("kind", [Asks, Answer, Vitals])
def test_what_is_damaged_is_told(kind: type[Asks]) -> None:
    data = bytearray(b"".join(Asks(watch="1").encode()))
    data[-1] ^= 1
    with pytest.raises(CorruptObjectError):
        kind.decode("name", bytes(data))


def test_questions_are_added_once_and_taken_back_alone() -> None:
    first, second = Question("1", "a"), Question("2", "b")
    asks = Asks().watched("w").with_question(first).with_question(second).with_question(first)
    assert asks == Asks((second, first), "w")
    assert asks.without("1") == Asks((second,), "w")
    assert asks.without("w") == Asks((second, first))
    assert asks.without("another") == asks


def test_old_questions_make_room() -> None:
    asks = Asks()
    for number in range(MOST_QUESTIONS + 3):
        asks = asks.with_question(Question(str(number), ""))
    assert [one.id for one in asks.questions] == [str(n) for n in range(3, MOST_QUESTIONS + 3)]


@pytest.mark.parametrize(
    ("text", "how_well"),
    [
        ("", Fit.PARTS),
        ("load-1", Fit.WHOLE),
        ("load", Fit.BEGINNING),
        ("load-2", Fit.NONE),
        ("('x', 0)", Fit.WHOLE),
        ("(x,0)", Fit.WHOLE),
        ("x", Fit.PARTS),
        ("y", Fit.NONE),
        (JOB, Fit.WHOLE),
        (JOB.partition(":")[0], Fit.PARTS),
        (JOB.replace(":7", ":8"), Fit.NONE),
        (str(SHARD), Fit.WHOLE),
        (str(SHARD.stage), Fit.PARTS),
        (f"{SHARD.stage}:7", Fit.WHOLE),
        (f"{SHARD.stage}:8", Fit.NONE),
    ],
)
def test_who_is_meant(text: str, how_well: Fit) -> None:
    assert fit(text, SHARD, JOB, ["load-1", "('x', 0)"]) is how_well


def test_a_job_that_runs_nothing_is_meant_by_no_key() -> None:
    assert fit("x", SHARD, "", []) is Fit.NONE
