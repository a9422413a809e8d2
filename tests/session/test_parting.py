"""The end of a session's hold on a run: what ends, what goes on, each once and in this order."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.parting import Parting
from dask_knot.settings.settings import resolve
from tests.local.recording import RecordingBatch


class EndingWorld:
    """All that a session lets go of, which notes what happens to it; others that hold the run."""

    def __init__(self, name: str | None, jobs_stay: bool) -> None:
        self.done: list[str] = []
        note = self.note
        engine: Any = SimpleNamespace(
            jobs_stay=jobs_stay,
            end_jobs=note("end jobs of the engine"),
            end_command=lambda job: f"end {job}",
            close=note("close the engine"),
        )
        run: Any = SimpleNamespace(
            name="climate",
            hurry=note("hurry"),
            be_patient=lambda *arguments: None,
            delete_all=note("delete all"),
        )
        service = JobService(RecordingBatch(), JobTemplate("n", "q", "i"), lambda *_: ())
        driver: Any = SimpleNamespace(
            stop=note("stop"), shut_down_submission=lambda: None, shut_down=note("shut down")
        )
        other: Any = SimpleNamespace(close=lambda: None)
        settings = resolve({"name": name, "engine": "local"})
        company: Any = SimpleNamespace(
            end_run=note("end jobs of others"), close=note("say goodbye")
        )
        self.parting = Parting(
            settings,
            run,
            engine,
            service,
            driver,
            other,
            other,
            Clockwork(),
            company if name else None,
        )

    def note(self, what: str) -> Callable[[], None]:
        """Note what is done."""
        return lambda: self.done.append(what)


ENGINE = "end jobs of the engine"


BYE = ["shut down", "say goodbye", "close the engine"]


@pytest.mark.parametrize(
    ("jobs_stay", "done"),
    [(True, ["stop", "hurry", *BYE]), (False, ["stop", "hurry", ENGINE, *BYE])],
)
def test_who_leaves_ends_what_cannot_go_on(jobs_stay: bool, done: list[str]) -> None:
    world = EndingWorld("climate", jobs_stay)
    world.parting.let_go()
    world.parting.end()
    world.parting.end_jobs()  # too late: they were left
    world.parting.end()
    assert world.done == done


def test_a_run_without_a_name_ends_with_all_that_it_has() -> None:
    world = EndingWorld(None, jobs_stay=True)
    world.parting.end()
    assert world.done == ["stop", "hurry", ENGINE, "shut down", "delete all", "close the engine"]


def test_whoever_ends_a_run_ends_jobs_of_others_too() -> None:
    world = EndingWorld("climate", jobs_stay=True)
    world.parting.end_run_jobs()
    world.parting.end()
    assert world.done == ["stop", "hurry", "end jobs of others", ENGINE, *BYE]
