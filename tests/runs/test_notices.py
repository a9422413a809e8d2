"""Open clusters and knots are found by their files; those of processes that are gone are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dask_knot.runs.notices import (
    Premises,
    announce,
    open_clusters,
    open_premises,
    withdraw,
)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_announced_until_withdrawn() -> None:
    path = announce("study", "tcp://127.0.0.1:1")
    assert path is not None
    assert open_clusters() == {"study": "tcp://127.0.0.1:1"}
    withdraw(path)
    withdraw(path)
    assert open_clusters() == {}


def test_a_run_that_is_open_twice_is_found_until_both_are_closed() -> None:
    first, second = (announce("study", f"tcp://127.0.0.1:{port}") for port in (1, 2))
    assert first is not None
    assert second is not None
    withdraw(second)
    assert open_clusters() == {"study": "tcp://127.0.0.1:1"}
    withdraw(first)
    assert open_clusters() == {}


@pytest.mark.parametrize(
    ("change", "stays"),
    [({"started": 1.0}, False), ({"pid": 2**22 - 1}, False), ({"host": "x"}, True)],
)
def test_others_are_not_found(change: dict[str, object], stays: bool) -> None:
    path = announce("study", "tcp://127.0.0.1:1")
    assert path is not None
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert open_clusters() == {}
    assert path.exists() == stays  # another machine that has the same home looks after its own


@pytest.mark.parametrize("seconds", [1, -1])
def test_a_clock_that_was_set_hides_nothing(seconds: float) -> None:
    path = announce("study", "tcp://127.0.0.1:1")
    assert path is not None
    notice = json.loads(path.read_text())
    path.write_text(json.dumps(notice | {"started": notice["started"] + seconds}))
    assert open_clusters() == {"study": "tcp://127.0.0.1:1"}
    assert path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[1", "[1]", '{"host": 3}'])
def test_a_damaged_file_is_passed_over(text: str) -> None:
    path = announce("study", "tcp://127.0.0.1:1")
    assert path is not None
    path.with_name("other.json").write_text(text)
    assert list(open_clusters()) == ["study"]


def test_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert announce("study", "tcp://127.0.0.1:1") is None
    assert open_clusters() == {}


def test_it_is_told_where_the_jobs_of_open_clusters_are() -> None:
    premises = Premises("study", "file:///store", "aws", True, stack="lab")
    paths = [announce("study", f"tcp://127.0.0.1:{port}", premises) for port in (1, 2)]
    paths.append(announce("old", "tcp://127.0.0.1:3"))  # as older versions do
    assert open_premises() == [premises]
    assert paths[0] is not None
    told = json.loads(paths[0].read_text())
    told["premises"]["of-a-newer-version"] = 1
    paths[0].write_text(json.dumps(told))
    assert open_premises() == [premises]
    for path in paths:
        assert path is not None
        withdraw(path)
    assert open_premises() == []


def test_a_knot_is_told_of_but_is_no_cluster_to_join() -> None:
    premises = Premises("slow", "file:///store", "local", True)
    paths = [announce("slow", "", premises) for _ in range(2)]
    assert open_clusters() == {}
    assert open_premises() == [premises]
    for path in paths:
        assert open_premises() == [premises]
        assert path is not None
        withdraw(path)
    assert open_premises() == []
