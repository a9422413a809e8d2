"""Why work is done again, from what the record has."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from dask_knot.digests import components
from dask_knot.digests.components import Components
from dask_knot.errors import ConfigurationError
from dask_knot.run.names import StageId
from dask_knot.run.presence import SessionInfo
from dask_knot.run.record import NO_DIGEST, PlanRecord
from dask_knot.runs.depot import Words, find_runs
from dask_knot.runs.why import explain
from tests.runs.stores import MadeRun, digest

EDITED, SAME = b"edited", b"same"


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return MadeRun(tmp_path / "store")


def session(made: MadeRun, **versions: str) -> int:
    who = SessionInfo("ada", "laptop", "m", 1, 0.0, "local", time.time(), versions)
    return made.run.claim_session(who)


def plan(made: MadeRun, number: int, *outputs: tuple[object, bytes, bytes | None]) -> None:
    """Record a plan of outputs: key, digest, and digest of the code."""
    record = made.planned(number, [["x-0"] * len(outputs)])
    record = replace(
        record,
        keys=[key for key, _, _ in outputs],
        digests=b"".join(one for _, one, _ in outputs),
        codes={str(key).partition("-")[0]: code for key, _, code in outputs if code},
    )
    append(made, record)


def append(made: MadeRun, record: PlanRecord) -> None:
    assert made.run.record.append(record, made.entries)
    made.entries += 1


def said(made: MadeRun, text: str) -> list[str]:
    assert isinstance(made.place, Path)
    return explain(find_runs(Words(store=str(made.place), engine="local")), "climate", text)


def test_what_was_never_made_before(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    assert said(made, "load") == [
        "load-1 is made by plan 0 of session 0",
        "no earlier plan had any load among its outputs: it had to be computed",
    ]


def test_what_was_reused(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    session(made)
    assert said(made, "load-1")[-1] == "later sessions that need the same work reuse its result"


def test_edited_code(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    plan(made, session(made), ("load-2", digest("b"), EDITED))
    assert said(made, "load-2") == [
        "load-2 is made by plan 0 of session 1",
        "the most similar earlier work is load-1 of plan 0 of session 0; the differences:",
        "  code: what load calls has changed",
    ]


def test_another_version(made: MadeRun) -> None:
    plan(made, session(made, numpy="2.0.1", dask="1"), ("load-1", digest("a"), SAME))
    plan(made, session(made, numpy="2.1.0", dask="1"), ("load-2", digest("b"), EDITED))
    assert said(made, "load-2")[2:] == [
        "  numpy 2.0.1 -> 2.1.0",
        "  code: what load calls has changed, or the above",
    ]


def test_other_arguments(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    plan(made, session(made), ("load-2", digest("b"), SAME))
    assert said(made, "load-2")[2:] == ["  an argument, or something that it reads"]


def test_the_same_work_without_a_result(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    plan(made, session(made), ("load-2", digest("a"), SAME))
    assert said(made, "load-2")[1:] == [
        "its work is the same as that of load-1 of plan 0 of session 0",
        "that work has no result (it failed, was lost or was abandoned), or reuse was turned off",
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            SAME,
            "the code of load has a digest: the reason is an argument, or something that it reads",
        ),
        (None, "the code that load calls has no digest, or must run each time"),
    ],
)
def test_what_has_no_digest(made: MadeRun, code: bytes | None, text: str) -> None:
    plan(made, session(made), ("load-1", NO_DIGEST, code))
    lines = said(made, "load-1")
    assert lines[1].startswith("its work has no digest")
    assert lines[2] == text


def test_the_reason_why_work_has_no_digest(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", NO_DIGEST, None))
    found = Components(refusals={"it reads the clock": "now-1"})
    made.run.record.write_why(0, components.encode([found], {}))
    assert said(made, "load-1")[2:] == ["in its graph now-1 has none: it reads the clock"]


def test_the_nearest_is_the_latest_that_is_most_alike(made: MadeRun) -> None:
    a, b, c = (f"x-{number:032}" for number in range(3))
    plan(made, session(made), ((a, 0), digest("a"), SAME), ((a, 1), digest("b"), SAME))
    plan(made, session(made), ((b, 0), digest("c"), SAME), ((b, 1), digest("d"), SAME))
    plan(made, session(made), ((c, 1), digest("e"), SAME))
    assert f"work is ('{b}', 1) of plan 0 of" in said(made, f"('{c}', 1)")[1]
    plan(made, session(made), ((c, 1), digest("f"), SAME))
    assert f"work is ('{c}', 1) of plan 0 of" in said(made, f"('{c}', 1)")[1]


def kept(made: MadeRun, number: int, key: str, reads: str, own: int) -> None:
    """Keep what the digests of a plan of two tasks are made of."""
    codes = [{"function clean": b"1"}, {"function load": b"2"}]
    tasks = {key: (0, 1), reads: (1, own)}
    found = Components(packages={"numpy": "2.0.1"}, codes=codes, tasks=tasks)
    data = components.encode([found], {key: [reads], reads: []})
    made.run.record.write_why(number, data)


def test_what_was_kept_tells_more(made: MadeRun) -> None:
    plan(made, session(made), ("clean-1", digest("a"), SAME))
    plan(made, session(made), ("clean-2", digest("b"), SAME))
    kept(made, 0, "clean-1", "load-1", 1)
    assert said(made, "clean-2")[2:] == ["  an argument, or something that it reads"]
    kept(made, 1_000_000, "clean-2", "load-2", 2)
    assert said(made, "clean-2")[2:] == ["  an argument of the task load-2"]


def test_the_nearest_differs_for_the_fewest_causes(made: MadeRun) -> None:
    one, two, three = (f"clean-{number:032}" for number in range(3))
    plan(made, session(made), (one, digest("a"), SAME), (two, digest("b"), SAME))
    plan(made, session(made), (three, digest("c"), EDITED))
    tasks = {one: (0, 1), two: (0, 2)}
    before = Components(codes=[{"clean": b"1"}], tasks=tasks)
    made.run.record.write_why(0, components.encode([before], {one: [], two: []}))
    now = Components(codes=[{"clean": b"1"}], tasks={three: (0, 2)})
    made.run.record.write_why(1_000_000, components.encode([now], {three: []}))
    assert f"work is {two} of plan 0" in said(made, three)[1]


def test_the_nearest_need_not_be_of_the_latest_plan(made: MadeRun) -> None:
    codes = ({"clean": b"1"}, {"another": b"1"}, {"clean": b"2"})
    for number, code in enumerate(codes):
        key = f"clean-{number:032}"
        plan(made, session(made), (key, digest(str(number)), SAME))
        kept = Components(codes=[code], tasks={key: (0, 1)})
        made.run.record.write_why(number * 1_000_000, components.encode([kept], {key: []}))
    lines = said(made, "clean")
    assert f"work is clean-{0:032} of plan 0" in lines[1]
    assert lines[2:] == ["  code of clean: clean was changed"]


def test_what_is_called_otherwise_is_not_the_nearest(made: MadeRun) -> None:
    codes = ({"clean": b"1", "trim": b"1"}, {"clean": b"3", "trim": b"3"}, {"clean": b"3"})
    for number, (code, own) in enumerate(zip(codes, (1, 2, 1), strict=True)):
        key = f"clean-{number:032}"
        plan(made, session(made), (key, digest(str(number)), SAME))
        kept = Components(codes=[code], tasks={key: (0, own)})
        made.run.record.write_why(number * 1_000_000, components.encode([kept], {key: []}))
    assert f"work is clean-{0:032} of plan 0" in said(made, "clean")[1]


def test_what_was_kept_may_be_damaged(made: MadeRun) -> None:
    plan(made, session(made), ("clean-1", digest("a"), SAME))
    plan(made, session(made), ("clean-2", digest("b"), SAME))
    kept(made, 0, "clean-1", "load-1", 1)
    made.run.record.write_why(1_000_000, b"damaged")
    assert said(made, "clean-2")[2:] == ["  an argument, or something that it reads"]


def test_what_is_read_is_followed_into_other_plans(made: MadeRun) -> None:
    for clean, mean, code in (("clean-1", "mean-1", SAME), ("clean-2", "mean-2", EDITED)):
        first = session(made)
        plan(made, first, (clean, digest(clean), code))
        record = made.planned(first + 1, [[mean]])
        stage = replace(record.stages[0], depends_on=[StageId(first, 0)])
        append(made, replace(record, stages=[stage], codes={"mean": SAME}))
    assert said(made, "mean-2") == [
        "mean-2 is made by plan 1 of session 1",
        "the most similar earlier work is mean-1 of plan 1 of session 0; the differences:",
        "  reads clean-2, which differs from clean-1:",
        "    code: what clean calls has changed",
    ]


def test_a_prefix_means_the_first_of_the_last_plan(made: MadeRun) -> None:
    one, two, three = (f"load-{number:032}" for number in range(3))
    plan(made, session(made), (one, digest("a"), SAME))
    plan(made, session(made), (three, digest("b"), SAME), (two, digest("c"), SAME))
    assert said(made, "load")[0] == f"{three} is made by plan 0 of session 1"
    plan(made, session(made), ("load", digest("d"), SAME))
    assert said(made, "load")[0] == "load is made by plan 0 of session 2"


def test_a_key_that_there_is_not(made: MadeRun) -> None:
    plan(made, session(made), ("load-1", digest("a"), SAME))
    with pytest.raises(ConfigurationError, match="no graph of the run has a key 'save'"):
        said(made, "save")


def test_what_was_kept_beside_the_plans_says_what_differs(made: MadeRun) -> None:
    for letter in "ab":
        number = session(made)
        plan(made, number, ("load-1", digest(letter), SAME))
        parts = Components(codes=[{"clean": letter.encode()}], tasks={"load-1": (0, 0)})
        made.run.record.write_why(number, components.encode([parts], {"load-1": ()}))
    assert said(made, "load")[-1] == "  code of load: clean was changed"
