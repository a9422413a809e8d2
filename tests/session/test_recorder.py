"""A record is written once while its store comes and goes, and nothing that was read is lost."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.errors import StoreAwayError
from dask_knot.planning import Limits, Plan, PlanRequest, Resources, Shard, Stage
from dask_knot.run.names import first_plan
from dask_knot.run.record import Entry
from dask_knot.session.recorder import Recorder
from dask_knot.tracking.actions import MakePlan
from dask_knot.tracking.events import Graph

NEEDS = Resources(1, 2**20)


class Log:
    """A record that is a list, in a store that goes away now and then.

    Attributes
    ----------
    troubles : list of str
        What befalls the next requests: nothing, "away", or "unanswered" though it was done.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.troubles: list[str] = []

    def append(self, entry: Entry, position: int) -> bool:
        """Append an entry unless there is one at the position."""
        trouble = self.troubles.pop(0) if self.troubles else ""
        is_free = position == len(self.entries)
        if is_free and trouble != "away":
            self.entries.append(entry)
        if trouble:
            raise StoreAwayError(trouble)
        return is_free

    def read_entries(self, position: int, readers: Any = None) -> list[Entry]:
        """Read all entries from a position on."""
        return self.entries[position:]


def asked(session: int, key: str) -> tuple[MakePlan, Plan]:
    """Make a plan of one task."""
    number, shard = first_plan(session), Shard((key,), (), (key,), (), 1.0)
    graph = Graph({}, [key], digests={key: key.encode() * 16})
    request = PlanRequest({key: ()}, [key], Limits(slots=1), default=NEEDS)
    return MakePlan(number, request, [graph]), Plan((Stage((shard,), NEEDS),))


def make(log: Log, session: int) -> Recorder:
    """Make the recorder of a session."""
    archive: Any = log
    return Recorder(archive, lambda: 0.0, session)


def test_a_plan_whose_answer_was_lost_is_ours() -> None:
    log = Log()
    recorder = make(log, 1)
    log.troubles = ["unanswered"]
    with pytest.raises(StoreAwayError):
        recorder.record(*asked(1, "a"))
    made, found = recorder.record(*asked(1, "a"))
    assert made is not None
    assert found == []
    assert len(log.entries) == 1
    assert make(log, 2).record(*asked(2, "b"))[1] == log.entries[:1]


def test_what_was_read_before_the_store_went_away_is_told() -> None:
    log = Log()
    recorder = make(log, 1)
    make(log, 2).record(*asked(2, "b"))
    log.troubles = ["", "away"]
    with pytest.raises(StoreAwayError):
        recorder.record(*asked(1, "a"))
    made, found = recorder.record(*asked(1, "a"))
    assert made is not None
    assert found == log.entries[:1]
    assert log.entries[1:] == [made]
