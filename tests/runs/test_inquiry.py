"""Who asks the jobs of a run waits for those whom he means, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.run.asks import Asks, Question
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.depot import Depot, Words, find_runs
from dask_knot.runs.inquiry import FAR, FAR_PAUSE, NEAR, ask, meant, named_crew, unnamed_crew
from dask_knot.runs.presence import Observer
from dask_knot.runs.stacks import StackReport, report_stacks
from tests.runs.asked import AskedChild, Time, crew, left
from tests.runs.stores import MadeRun

FIRST, SECOND = StageId(0, 0), StageId(0, 1)
SHARDS = [ShardId(FIRST, 0), ShardId(FIRST, 1), ShardId(SECOND, 0)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "store"), "run")


def children(run: Run, tells_all: bool = True) -> list[AskedChild]:
    keys = ("load-0", "load-1", "mean-0")
    return [
        AskedChild(run, shard, key, tells_all=tells_all)
        for shard, key in zip(SHARDS, keys, strict=True)
    ]


def test_who_runs_a_key_answers(run: Run, tmp_path: Path) -> None:
    time = Time(children(run))
    found = meant("load-1", ask(crew(run, SHARDS), "load-1", now=time.now, pause=time.pause))
    assert {shard: answer.stacks for shard, answer in found.items()} == {
        SHARDS[1]: "stacks of job-0:1"
    }
    assert left(tmp_path / "store") == []


def test_who_runs_just_that_key_goes_before_others_that_begin_so(run: Run) -> None:
    time = Time([AskedChild(run, SHARDS[0], "load-10"), AskedChild(run, SHARDS[1], "load-1")])
    found = meant("load-1", ask(crew(run, SHARDS), "load-1", now=time.now, pause=time.pause))
    assert list(found) == [SHARDS[1]]


def of_map(run: Run) -> list[AskedChild]:
    keys = ("('pi-0', 1)", "('pi-0', 17)", "('pi-01', 1)")
    return [AskedChild(run, shard, key) for shard, key in zip(SHARDS, keys, strict=True)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pi-0", [0, 1]),  # not the map whose name begins so
        ("pi-0:1", [0]),
        ("pi-0,17", [1]),
        ("pi", [0, 1, 2]),
        ("('pi-01', 1)", [2]),
    ],
)
def test_the_name_of_a_map_means_all_of_its_tasks_that_run(
    run: Run, text: str, found: list[int]
) -> None:
    time = Time(of_map(run))
    reports = report_stacks([crew(run, SHARDS)], text, time.now, time.pause)
    jobs = [time.children[number].job for number in found]
    assert [report.text for report in reports] == [f"stacks of {job}" for job in jobs]


def test_who_answers_later_is_waited_for_where_several_may_be_meant(run: Run) -> None:
    class Slow(AskedChild):
        looks = 0

        def look(self) -> None:
            self.looks += 1
            if self.looks > 2:
                super().look()

    there = [AskedChild(run, SHARDS[0], "('pi-0', 1)"), Slow(run, SHARDS[1], "('pi-0', 2)")]
    for text, found in {"pi-0": SHARDS[:2], "pi-0:1": SHARDS[:1]}.items():
        time = Time(there)
        answers = ask(crew(run, SHARDS), text, now=time.now, pause=time.pause)
        assert list(meant(text, answers)) == found
        assert time.seconds < NEAR


def test_far_away_all_are_waited_for_where_several_may_be_meant() -> None:
    memory = Run(Store("memory://"), "run")
    time = Time([AskedChild(memory, SHARDS[0], "('pi-0', 1)", tells_all=False)])
    for shards, seconds in ((SHARDS, FAR), (SHARDS[:1], 3 * FAR_PAUSE)):
        time.seconds = 0
        answers = ask(crew(memory, shards), "pi-0", now=time.now, pause=time.pause)
        assert list(meant("pi-0", answers)) == SHARDS[:1]
        assert time.seconds <= seconds


def test_nobody_is_waited_for_longer_than_he_takes_to_look(run: Run) -> None:
    near, far = Time(), Time()
    assert ask(crew(run, SHARDS), "load-1", now=near.now, pause=near.pause) == {}
    memory = Run(Store("memory://"), "run")
    assert ask(crew(memory, SHARDS), "load-1", now=far.now, pause=far.pause) == {}
    assert (near.seconds, far.seconds) == (NEAR, FAR)


def test_without_jobs_nobody_is_asked(run: Run) -> None:
    time = Time()
    assert ask(crew(run, []), "load-1", now=time.now, pause=time.pause) == {}
    assert time.seconds == 0


def test_who_is_overwritten_asks_again(run: Run) -> None:
    class Overwriting(AskedChild):
        looks = 0

        def look(self) -> None:
            self.looks += 1
            if self.looks == 1:  # by somebody who had read before
                self.run.inquiries.tell(FIRST, Asks((Question("theirs", "x"),)))
            super().look()

    time = Time([Overwriting(run, SHARDS[0], "load-0", tells_all=False)])
    only = crew(run, SHARDS[:1])
    assert ask(only, "job-0:0", now=time.now, pause=time.pause) == {}  # NEAR is over by then
    memory = Run(Store("memory://"), "run")
    time = Time([Overwriting(memory, SHARDS[0], "load-0", tells_all=False)])
    found = ask(crew(memory, SHARDS[:1]), "job-0:0", now=time.now, pause=time.pause)
    assert list(found) == SHARDS[:1]
    assert memory.inquiries.read(FIRST) == Asks((Question("theirs", "x"),))  # it stays


def test_reports_name_the_job_and_what_else_runs(run: Run) -> None:
    time = Time(children(run))

    def report(shards: list[ShardId], text: str) -> list[StackReport]:
        return list(report_stacks([crew(run, shards)], text, time.now, time.pause))

    (found,) = report(SHARDS, "mean-0")
    assert (found.title, found.text) == (
        "job job-1:0 (shard 0 of stage 0.1), process 12 on host",
        "stacks of job-1:0",
    )
    with pytest.raises(
        ConfigurationError, match="is running 'x' at the moment; running now: load-0, load"
    ):
        report(SHARDS, "x")
    with pytest.raises(ConfigurationError, match="no job of run is under way"):
        report([], "x")
    time.children = []
    with pytest.raises(ConfigurationError, match="it may be waiting, or have finished"):
        report(SHARDS, "x")


def test_the_jobs_of_a_named_run_are_those_under_way(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "climate")
    made.open(is_alive=True)
    made.plan(0, [["load-0", "load-1"], ["mean-0"]])
    made.finish(ShardId(FIRST, 0))
    depot = find_runs(Words(store=str(tmp_path)))
    there = named_crew(depot, "climate", Observer(lambda words: None))
    assert (sorted(there.shards), there.engine) == ([SHARDS[1], SHARDS[2]], "local")


def test_a_run_that_nobody_holds_has_none(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "climate")
    made.open()
    made.plan(0, [["load-0"]])
    depot = find_runs(Words(store=str(tmp_path)))
    assert named_crew(depot, "climate", Observer(lambda words: None)).shards == []


def test_the_jobs_of_a_run_without_a_name_are_found_by_their_packs(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "knot-1")
    from tests.job.runs import shard, task

    made.run.write_pack(FIRST, [shard([task("a", int)])] * 2)
    made.run.write_pack(SECOND, [shard([task("b", int)])])
    made.finish(ShardId(FIRST, 0))
    made.lose(ShardId(SECOND, 0))
    depot = find_runs(Words(store=str(tmp_path)))
    assert unnamed_crew(depot, "knot-1", "docker").shards == [SHARDS[1]]


def test_a_store_that_is_not_there_has_no_runs() -> None:
    with pytest.raises(ConfigurationError, match="no store either"):
        unnamed_crew(Depot("file:///nowhere", "local", None), "knot-1", "local")
