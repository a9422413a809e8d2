"""What a user sees: Dask's pages, the Knot page, the task stream, progress, and drawn plans."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

import dask
import dask.array as da
import pytest
from dask import delayed
from dask.utils import key_split
from distributed import Client, LocalCluster, get_task_stream, performance_report
from distributed import progress as dask_progress

from dask_knot import KnotCluster, progress
from dask_knot.errors import KnotError
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import fail, inc, wait_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[KnotCluster]:
    """Give a cluster with a dashboard; its shards tell of what they did in parts."""
    with KnotCluster(**{**SMALL, "dashboard_address": ":0", "part_interval": 0.1}) as cluster:
        yield cluster


def total() -> da.Array:
    x = da.ones((200, 200), chunks=(100, 100))
    return (x + x.T).sum()


def inner(cluster: KnotCluster, collection: object) -> Counter[str]:
    """Count the tasks by prefix that a collection needs, as the plan has them."""
    return sum((Counter(stage.tasks) for stage in cluster.plan_of(collection).stages), Counter())


def read(cluster: KnotCluster | LocalCluster, page: str) -> str:
    """Read a page of the dashboard, or what is served in its stead."""
    assert cluster.scheduler is not None
    root = f"http://127.0.0.1:{cluster.scheduler.http_server.port}"
    with urlopen(f"{root}/{page}", timeout=30) as answer:
        assert answer.status == 200
        text: str = answer.read().decode()
    return text


def test_a_performance_report_shows_what_ran_in_jobs(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    # Before any page is opened: when bokeh discards a page that nobody reads, a report that is
    # written at that very moment fails, with any Dask cluster.
    expected = inner(cluster, total())
    with performance_report(str(tmp_path / "report.html")):
        total().compute()
    text = (tmp_path / "report.html").read_text()
    for prefix in expected:
        assert prefix in text
    assert f"number of tasks: {expected.total()}" in text


def test_the_knot_page_is_in_the_dashboard(cluster: KnotCluster, client: Client) -> None:
    page = read(cluster, "knot")
    assert "embed_document" in page, "a document of bokeh is in it"
    for name in ("status", "knot", "workers"):
        assert '<a href="knot">Knot</a>' in read(cluster, name)


#: What can be opened alone: names as JupyterLab's extension lists them.
ALONE = ("changes", "jobs", "shards", "stages", "summary", "tasks")


def plots(cluster: KnotCluster | LocalCluster) -> dict[str, str]:
    """Read which plots JupyterLab's extension finds."""
    listed: dict[str, str] = json.loads(read(cluster, "individual-plots.json"))
    return listed


def test_parts_of_the_knot_page_are_listed_for_jupyterlab(
    cluster: KnotCluster, client: Client
) -> None:
    listed = plots(cluster)
    for name in ALONE:
        assert listed[f"Individual Knot {name.title()}"] == f"/individual-knot-{name}"
        assert f'<a href="individual-knot-{name}">Knot {name.title()}</a>' in read(cluster, "knot")
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as plain:
        dasks = plots(plain)  # has none of ours
    assert dasks.keys() == {name for name in listed if not name.startswith("Individual Knot")}


@pytest.mark.parametrize("name", ALONE)
def test_each_part_can_be_opened_alone(cluster: KnotCluster, client: Client, name: str) -> None:
    text = read(cluster, f"individual-knot-{name}")
    assert "embed_document" in text, "a document of bokeh is in it"
    assert 'href="status"' not in text, "it has no menu: it fills a pane"


@pytest.mark.parametrize("page", ["status", "tasks", "workers", "graph", "groups"])
def test_dasks_own_pages_are_served(cluster: KnotCluster, client: Client, page: str) -> None:
    assert "Dask" in read(cluster, page)


def test_without_a_dashboard_nothing_is_served(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster(dashboard_address=None)
    with pytest.raises(OSError, match="404"):
        read(cluster, "knot")
    assert "dashboard_address is None" in read(cluster, "status")
    assert not cluster.dashboard_link, "there is no link to promise"
    assert cluster.dashboard_link in cluster._repr_html_()
    assert "dashboard" not in repr(cluster), "they who asked for none know it"
    with Client(cluster) as client:
        assert client.submit(inc, 1).result() == 2


def test_without_bokeh_all_else_works(
    open_cluster: Callable[..., KnotCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed.dashboard.scheduler", None)
    routes = "distributed.scheduler.http.routes"
    with dask.config.set({routes: [*dask.config.get(routes)]}):  # Dask adds to the list itself
        cluster = open_cluster(dashboard_address=":0")
    assert "pip install 'dask_knot[dashboard]'" in read(cluster, "status")
    with Client(cluster) as client, get_task_stream(client) as stream:
        assert client.submit(inc, 1).result() == 2
    assert len(stream.data) == 1


def test_another_cluster_in_the_process_has_no_knot_page(cluster: KnotCluster) -> None:
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as plain,
        pytest.raises(OSError, match="404"),
    ):
        read(plain, "knot")


def test_the_stream_has_every_task_with_its_times(cluster: KnotCluster, client: Client) -> None:
    expected = inner(cluster, total())
    start = time.time()
    with get_task_stream(client) as stream:
        future = client.compute(total())
        assert future.result() == 80_000
    stop = time.time()
    assert Counter(key_split(task["key"]) for task in stream.data) == expected
    assert future.key in [task["key"] for task in stream.data]
    spans: dict[str, list[tuple[float, float]]] = {}
    for task in stream.data:
        (span,) = task["startstops"]
        assert start < span["start"] <= span["stop"] < stop
        spans.setdefault(task["worker"], []).append((span["start"], span["stop"]))
    assert set(spans) <= {"slot-0", "slot-1"}, "a lane for each of two slots"
    for slot in spans.values():
        ordered = sorted(slot)
        assert all(a[1] <= b[0] for a, b in pairwise(ordered))


def test_the_stream_shows_errors(cluster: KnotCluster, client: Client) -> None:
    with get_task_stream(client) as stream:
        bad = client.submit(fail, 1, pure=False)
        after = client.submit(inc, bad)
        assert isinstance(after.exception(), ValueError)
    assert [(task["key"], task["status"]) for task in stream.data] == [(bad.key, "error")]


def test_progress_shows_every_task(
    cluster: KnotCluster, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = inner(cluster, total())
    future = client.compute(total())
    progress(future, notebook=False)
    assert future.done()
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    for prefix, count in expected.items():
        assert f"{count} / {count}" in lines[prefix]
    assert "1 / 1" in lines["futures"]


def test_progress_moves_with_parts(cluster: KnotCluster, client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    done = [delayed(inc)(0, dask_key_name="first-0")]
    for number in range(1, 20):
        done.append(delayed(inc)(done[-1], dask_key_name=f"first-{number}"))
    last = delayed(lambda value, path: wait_for(path))(done[-1], str(gate))
    future = client.compute(last)

    def seen() -> dict[str, tuple[int, int, int]]:
        answer = client.sync(client.scheduler.knot_progress, keys=[future.key])
        return {name: tuple(counts) for name, *counts in answer["tasks"]}

    # The part is written when a task ends after the interval; the tasks before are long done.
    until(lambda: "first" in seen())
    assert not future.done()
    gate.touch()
    future.result()
    assert seen()["first"] == (20, 0, 20)


def test_progress_ends_with_errors_and_cancelled_futures(
    cluster: KnotCluster, client: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    progress(client.map(fail, range(5), pure=False), notebook=False)
    assert "0 / 5, 5 erred" in capsys.readouterr().out
    stuck = client.submit(wait_for, str(tmp_path / "never"))
    canceller = threading.Timer(0.2, stuck.cancel)
    canceller.start()
    progress(stuck, notebook=False)
    canceller.join()
    assert stuck.cancelled()


def test_progress_of_a_cluster_ends_when_nothing_runs(
    cluster: KnotCluster, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    futures = client.map(inc, range(50), pure=False)
    progress(cluster, notebook=False)
    assert cluster.scheduler is not None
    until(lambda: all(future.done() for future in futures))
    assert "all tasks" in capsys.readouterr().out


def test_progress_from_another_client(
    cluster: KnotCluster, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with Client(cluster.scheduler_address, set_as_default=False) as other:
        progress(other.map(inc, range(7), pure=False), notebook=False)
    assert "7 / 7" in capsys.readouterr().out


def test_progress_of_nothing(cluster: KnotCluster, client: Client) -> None:
    assert progress([]) is None


def test_progress_of_another_cluster_is_refused() -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as plain,
        Client(plain, set_as_default=False) as client,
        pytest.raises(KnotError, match=r"distributed\.progress"),
    ):
        progress(client.submit(inc, 1), notebook=False)


def test_dasks_own_progress_works(
    cluster: KnotCluster, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    dask_progress(client.map(inc, range(20), pure=False), notebook=False)
    assert "100% Completed" in capsys.readouterr().out


def graphs() -> dict[str, object]:
    x = da.ones((300, 400), chunks=(100, 100))
    with dask.annotate(resources={"MEMORY": 2e8}):
        small = delayed(inc, pure=False)(1)
    return {
        "sum": (x + 1).sum(),
        "rechunk": x.rechunk((150, 200)),
        "delayed": delayed(sum)([delayed(inc)(n) for n in range(30)]),
        "annotated": delayed(inc)(small),
    }


@pytest.mark.parametrize("name", list(graphs()))
def test_what_is_foreseen_is_what_runs(cluster: KnotCluster, client: Client, name: str) -> None:
    collection = graphs()[name]
    before = len(cluster.jobs)
    plan = cluster.plan_of(collection)
    assert len(cluster.jobs) == before, "nothing ran"
    dask.compute(collection)
    assert [job.size for job in cluster.jobs[before:]] == [stage.shards for stage in plan.stages]


def test_what_is_there_is_foreseen_as_such(cluster: KnotCluster, client: Client) -> None:
    x = (da.ones((200, 200), chunks=(100, 100)) + 1).persist()
    x.sum().compute()
    before = len(cluster.jobs)
    plan = cluster.plan_of([x.mean()], x.sum())
    assert "ones" not in repr(plan)
    (flow,) = [flow for flow in plan.flows if flow.source is None]
    assert (flow.values, flow.reads >= 4, flow.unknown) == (4, True, 0)
    assert flow.nbytes == flow.reads * 80_000
    dask.compute(x.mean(), x.sum())
    assert [job.size for job in cluster.jobs[before:]] == [stage.shards for stage in plan.stages]


def test_times_are_unknown_before_a_first_run(cluster: KnotCluster, client: Client) -> None:
    def never_before(x: int) -> int:
        return x

    one, another = (delayed(never_before)(n) for n in range(2))
    first = cluster.plan_of(one)
    assert "time: not known yet: no task like never_before has run" in repr(first).splitlines()
    assert (first.worst, first.known) == (None, {})
    one.compute()
    plan = cluster.plan_of(another)
    lines = repr(plan).splitlines()
    assert "known: never_before (seen in this session)" in lines
    assert plan.known == {"never_before": "seen in this session"}
    assert plan.worst >= plan.best > 0
    assert not [line for line in lines if re.search(r"\b1 \w+s\b(?! of)", line)]


def test_what_the_user_said_is_known(cluster: KnotCluster, client: Client) -> None:
    def said_before(x: int) -> int:
        return x

    with dask.annotate(knot={"seconds": 7200}):
        tasks = [delayed(said_before)(n) for n in range(4)]
    plan = cluster.plan_of(*tasks)
    assert "time: about 4 h, with 2 jobs at once" in repr(plan).splitlines()
    assert [*plan.known] == ["said_before"]


def test_reasons_are_given_when_asked_for(cluster: KnotCluster) -> None:
    plan = cluster.plan_of(total())
    assert plan.why == plan.reasons != ()
    assert plan.why[0] not in repr(plan)


@pytest.mark.parametrize("wrong", [3, [], "text"])
def test_only_collections_are_planned(cluster: KnotCluster, wrong: object) -> None:
    with pytest.raises(TypeError, match="nothing to plan"):
        cluster.plan_of(wrong)


def test_a_cluster_shows_itself_in_a_notebook(cluster: KnotCluster, client: Client) -> None:
    client.submit(inc, 1, pure=False).result()
    until(lambda: all(row.counts.get("SUCCEEDED") == row.size for row in cluster.jobs[-1:]))
    html = cluster._repr_html_()
    assert f'href="{cluster.dashboard_link}"' in html
    assert "Up to 2 jobs of 1 vCPU" in html
    assert cluster.jobs._repr_html_() in html
    assert cluster.jobs[-1].job_id in html


def test_progress_of_what_does_not_run_is_refused(client: Client) -> None:
    for lazy in (3, delayed(inc)(1), [da.ones(3)]):
        with pytest.raises(TypeError, match="has no futures to follow"):
            progress(lazy)
    assert progress([]) is None
