"""Batch's reasons, and what they are for the futures."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from dask.utils import parse_bytes

from dask_knot.batch.endings import (
    BYGONE,
    CLIENT_GONE,
    CLOSED,
    ENDED_RUN,
    HOPELESS,
    LOCAL_STARTS,
    UNNEEDED,
    UNWATCHED,
    explain,
)
from dask_knot.errors import (
    InternalError,
    JobError,
    JobMemoryError,
    JobStartError,
    JobTerminatedError,
    JobTimeoutError,
    KilledTaskError,
    NotLoadedError,
    PluginError,
    VersionsError,
)
from dask_knot.graphs.needs import parse_resources
from dask_knot.planning import Resources
from dask_knot.run import exits
from dask_knot.tracking.events import Ending

#: What Batch says: statusReason, container.reason, exitCode. Then ending, error, words of it.
REASONS: list[tuple[str, str, int | None, Ending, type[JobError], str]] = [
    (
        "Essential container in task exited",
        "",
        3,
        Ending.KILLED,
        KilledTaskError,
        "ended with exit code 3 while a task was running",
    ),
    ("Essential container in task exited", "", 1, Ending.KILLED, KilledTaskError, "exit code 1"),
    (
        "Essential container in task exited",
        "",
        76,
        Ending.OTHER_VERSIONS,
        VersionsError,
        "Python or packages than the client. Build its image again with `dask knot image`",
    ),
    (
        "Essential container in task exited",
        "",
        70,
        Ending.NOT_SET_UP,
        PluginError,
        "couldn't run a worker plugin's setup, so none of its tasks ran",
    ),
    (
        "Your Spot Task was interrupted.",
        "",
        None,
        Ending.HOST_LOST,
        JobError,
        "lost its machine",
    ),
    (
        "Essential container in task exited",
        "",
        139,
        Ending.KILLED,
        KilledTaskError,
        r"by signal 11 \(exit code 139\)",
    ),
    ("Essential container in task exited", "", 0, Ending.KILLED, KilledTaskError, "exit code 0"),
    (
        "Essential container in task exited",
        "OutOfMemoryError: Container killed due to memory usage",
        137,
        Ending.MEMORY,
        JobMemoryError,
        r"Container killed due to memory usage\).*resources=\{'MEMORY': .*KnotCluster\(memory=",
    ),
    (
        "Essential container in task exited",
        "",
        137,
        Ending.KILLED,
        KilledTaskError,
        r"by signal 9",
    ),
    (
        "Job attempt duration exceeded timeout",
        "",
        137,
        Ending.TIMEOUT,
        JobTimeoutError,
        r"exceeded timeout\).*dask.annotate\(knot=\{'timeout': .*KnotCluster\(timeout=",
    ),
    (
        "Host EC2 (instance i-0abc) terminated.",
        "",
        None,
        Ending.HOST_LOST,
        JobError,
        "Spot",
    ),
    (
        "Essential container in task exited",
        "",
        exits.NOT_RUN,
        Ending.HOST_LOST,
        JobError,
        "couldn't reach the store",
    ),
    (
        "Essential container in task exited",
        "",
        exits.NOT_LOADED,
        Ending.NOT_LOADED,
        NotLoadedError,
        "If a package is missing, add it to the jobs' image",
    ),
    (
        "Task failed to start",
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
        None,
        Ending.NOT_STARTED,
        JobStartError,
        "never started: CannotPullContainerError.*dask knot image",
    ),
    (
        "Task failed to start",
        "CannotStartContainerError: Error response from daemon",
        None,
        Ending.HOST_LOST,
        JobStartError,
        "the image isn't to blame: CannotStartContainerError: Error response from daemon",
    ),
    (
        "Task failed to start",
        "ResourceInitializationError: unable to pull secrets",
        None,
        Ending.HOST_LOST,
        JobStartError,
        "unable to pull secrets",
    ),
    (
        "Task failed to start",
        "DockerTimeoutError: Could not transition to created; timed out",
        None,
        Ending.HOST_LOST,
        JobStartError,
        "DockerTimeoutError",
    ),
    ("Task failed to start", "", None, Ending.HOST_LOST, JobStartError, "Task failed to start"),
    (
        "Essential container in task exited",
        "",
        None,
        Ending.HOST_LOST,
        JobError,
        "repeatedly lost its machine",
    ),
    (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no instance is large enough",
        "",
        None,
        Ending.NOT_STARTED,
        JobStartError,
        "no instance is large enough",
    ),
    (
        "Dependent Job failed",
        "",
        None,
        Ending.DEPENDENCY_FAILED,
        JobError,
        "a job it depends on failed",
    ),
    ("", "", None, Ending.NOT_STARTED, JobStartError, "never started"),
]


def detail(status: str, container: str, code: int | None, **more: Any) -> dict[str, Any]:
    """Say what describe_jobs says of a job that ended."""
    found: dict[str, Any] = {"jobId": "a1b2:7", "status": "FAILED", "container": {}, **more}
    if status:
        found["statusReason"] = status
    if container:
        found["container"]["reason"] = container
    if code is not None:
        found["container"]["exitCode"] = code
    return found


@pytest.mark.parametrize(("status", "container", "code", "ending", "kind", "words"), REASONS)
def test_reasons(
    status: str, container: str, code: int | None, ending: Ending, kind: type[JobError], words: str
) -> None:
    found = explain(detail(status, container, code), ())
    assert found.ending is ending
    assert type(found.error) is kind
    with pytest.raises(kind, match=rf"^job a1b2:7 .*{words}"):
        raise found.error
    assert isinstance(found.error, JobError)
    assert (found.error.job_id, found.error.reason) == ("a1b2:7", container or status)


@pytest.mark.parametrize("how", ["isTerminated", "isCancelled"])
@pytest.mark.parametrize("code", [None, 143])
def test_a_job_that_somebody_ended(how: str, code: int | None) -> None:
    found = explain(detail("stop it", "", code, **{how: True}), ())
    assert found.ending is Ending.TERMINATED
    assert isinstance(found.error, JobTerminatedError)
    assert "was terminated: stop it" in str(found.error)


@pytest.mark.parametrize("kind", LOCAL_STARTS)
def test_a_process_that_never_started_here_has_no_image_and_no_roles(kind: str) -> None:
    job = detail("Task failed to start", f"{kind}: no more processes", None)
    for status in ("Task failed to start", ""):
        error = explain({**job, "statusReason": status}, ()).error
        assert isinstance(error, JobStartError)
        assert str(error).startswith(f"job a1b2:7 never started: {kind}: no more processes. Look ")
        assert not {"image", "roles"} & set(str(error).replace(",", "").split())


def test_a_timeout_counts_more_than_the_termination_that_it_is() -> None:
    job = detail("Job attempt duration exceeded timeout", "", 137, isTerminated=True)
    assert explain(job, ()).ending is Ending.TIMEOUT


def test_the_log_is_told_and_kept() -> None:
    found = explain(detail("", "", 1), ["first line", "last line"])
    assert str(found.error).endswith("The last lines of its log:\n  first line\n  last line")
    assert isinstance(found.error, JobError)
    assert found.error.log == ("first line", "last line")


@pytest.mark.parametrize(
    "line",
    [
        "exec /usr/local/bin/python: exec format error",
        "[FATAL tini (7)] exec python failed: Exec format error",
    ],
)
def test_an_image_of_another_architecture(line: str) -> None:
    found = explain(detail("Essential container in task exited", "", 255), [line])
    assert found.ending is Ending.NOT_STARTED
    assert "another architecture" in str(found.error)
    none = "[FATAL tini (7)] exec python failed: No such file or directory"
    found = explain(detail("Essential container in task exited", "", 127), [none])
    assert found.ending is Ending.NOT_STARTED
    assert "has no working Python" in str(found.error)
    printed = ["a task printed: exec format error"]
    other = explain(detail("Essential container in task exited", "", 255), printed)
    assert other.ending is Ending.KILLED


def test_a_job_that_batch_has_forgotten() -> None:
    found = explain({"jobId": "gone"}, ())
    assert found.ending is Ending.HOST_LOST  # its values are planned again
    assert "job gone" in str(found.error)


def test_every_ending_that_batch_knows_can_be_told() -> None:
    told = {row[3] for row in REASONS} | {Ending.TERMINATED, Ending.LEFT}
    assert told == set(Ending) - {Ending.UNREADABLE}  # the store's word, not Batch's


@pytest.mark.parametrize("reason", [UNNEEDED, CLOSED, UNWATCHED, HOPELESS, CLIENT_GONE, BYGONE])
def test_what_dask_knot_itself_has_ended_is_no_fault_of_anybody(reason: str) -> None:
    ended = {"jobId": "a", "isTerminated": True, "statusReason": reason, "status": "FAILED"}
    assert explain(ended, ()).ending is Ending.LEFT


@pytest.mark.parametrize("reason", [ENDED_RUN, "I ended it in the console", ""])
def test_what_somebody_has_ended_on_purpose_is_told_to_all(reason: str) -> None:
    ended = {"jobId": "a", "isTerminated": True, "statusReason": reason, "status": "FAILED"}
    found = explain(ended, ())
    assert found.ending is Ending.TERMINATED
    assert isinstance(found.error, JobTerminatedError)
    assert reason in str(found.error)


def test_the_limit_that_was_reached_is_named() -> None:
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]
    container = {"reason": "OutOfMemoryError: killed", "resourceRequirements": needs}
    found = explain({"jobId": "a", "container": container}, ())
    assert "used more memory than allowed, 256 MiB (OutOfMemoryError: killed)" in str(found.error)
    late = "Job attempt duration exceeded timeout"
    timeout = {"attemptDurationSeconds": 60}
    found = explain({"jobId": "a", "statusReason": late, "timeout": timeout}, ())
    assert f"ran longer than allowed, 60 s ({late})" in str(found.error)


@pytest.mark.parametrize(
    ("needs", "advised"),
    [([{"type": "MEMORY", "value": "1024"}], "2.00 GiB"), ([], "8 GiB")],
)
def test_memory_is_advised_per_task_and_more_than_there_was(
    needs: list[dict[str, str]], advised: str
) -> None:
    """What is advised can be done: it is read as the annotation that it is."""
    container = {"exitCode": 137, "reason": "OutOfMemoryError", "resourceRequirements": needs}
    said = str(explain({"jobId": "j", "container": container}, ()).error)
    ways = re.findall(r"resources=(\{.*?\})", said)
    assert ways == [f"{{'MEMORY': '{advised}'}}"] * 2
    assert "client.submit(" in said
    assert "with dask.annotate(" in said
    memory = parse_resources(ast.literal_eval(ways[0]), Resources()).memory
    assert memory == parse_bytes(advised)


def test_advice_fits_the_engine() -> None:
    lost = {"process": "Host EC2 (instance local) terminated."}
    for word, status in {**lost, "container": "Host EC2 (docker) lost"}.items():
        here = explain(detail(status, "", None), ())
        assert f"lost its {word}" in str(here.error)
        assert "EC2" not in str(here.error)
        assert here.ending is Ending.HOST_LOST
        assert "Spot" not in str(here.error)
        assert "this machine" in str(here.error)
    exited = "Essential container in task exited"
    log = ["shard 1 of r could not be run: the store failed to put x: No space left on device"]
    full = explain(detail(exited, "", exits.NOT_RUN), log)
    assert "No space left on device" in str(full.error)
    assert "Spot" not in str(full.error)


def test_a_child_that_succeeded_without_a_manifest_may_have_lost_it() -> None:
    found = explain({"jobId": "a", "status": "SUCCEEDED", "container": {"exitCode": 0}}, ())
    assert found.ending is Ending.UNREADABLE
    assert isinstance(found.error, KilledTaskError)
    assert "without leaving a manifest" in str(found.error)


def test_a_mistake_of_ours_is_no_task_that_was_killed() -> None:
    log = ["Traceback (most recent call last):", "LookupError: injected"]
    found = explain(detail("Essential container in task exited", "", exits.MISTAKE), log)
    assert found.ending is Ending.KILLED  # so that it is searched for, as one task may cause it
    assert isinstance(found.error, InternalError)
    assert "LookupError: injected" in str(found.error)
    assert "os._exit" not in str(found.error)


def test_children_that_never_started_end_with_their_run_on_purpose() -> None:
    found = explain({"jobId": "job-1:3", "status": "FAILED", "statusReason": ENDED_RUN}, [])
    assert found.ending is Ending.TERMINATED
    assert isinstance(found.error, JobTerminatedError)
