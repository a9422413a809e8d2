"""The session of a knot: known on this machine while it is open, and closed once, by whomever."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from dask_knot import Knot
from dask_knot.errors import EngineError
from dask_knot.runs.notices import open_clusters, open_premises
from tests.knot.functions import double


def test_others_find_it_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Knot("found", double, store=tmp_path / "store", jobs=1, progress=False) as knot:
        (told,) = open_premises()
        assert (told.run, told.engine, told.is_named) == ("found", "local", True)
        assert told.store == knot.session.run.store_url
        assert open_clusters() == {}  # nobody may take it for a scheduler
        again = Knot("found", double, store=tmp_path / "store", jobs=1, progress=False)
        again.host.end_now()  # as by a signal
        assert open_premises() == [told]
        again.close()
    assert open_premises() == []


def test_whoever_closes_second_waits_for_the_first(tmp_path: Path) -> None:
    knot = Knot("twice", str, store=tmp_path, jobs=1)
    begun, go = threading.Event(), threading.Event()
    withdraw = knot.host._withdraw

    def slowly() -> None:
        begun.set()
        assert go.wait(30)
        withdraw()

    knot.host._withdraw = slowly  # type: ignore[method-assign]
    first, second = (threading.Thread(target=knot.close) for _ in range(2))
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    go.set()
    for one in (first, second):
        one.join(30)
        assert not one.is_alive()


def test_a_map_that_begins_while_others_close_ends(tmp_path: Path) -> None:
    knot = Knot("late", time.sleep, store=tmp_path, jobs=1)
    close, late = knot.host.close, []

    def close_after_one_more(ends: bool) -> None:
        late.append(knot.map([60]))
        close(ends)

    knot.host.close = close_after_one_more  # type: ignore[method-assign, assignment]
    knot.close()
    with pytest.raises(EngineError, match="was closed before late-0 was done"):
        late[0].result(timeout=30)
