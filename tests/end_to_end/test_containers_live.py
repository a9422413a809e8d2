"""A look into containers that run, and a way into them: of a Docker engine, and of an emulated AWS.

Functions are made inside the tests: the image of the jobs has no tests in it.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.aws.options import StackOptions
from dask_knot.aws.session import AwsSession
from dask_knot.aws.shell import TOOLS
from dask_knot.aws.stack import up
from dask_knot.cli.main import knot
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import SMALL, account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def docker(account: AwsSession) -> Iterator[KnotCluster]:
    """Open a cluster of containers on this machine."""
    with KnotCluster(**SMALL, engine="docker", part_interval=1) as cluster:
        yield cluster


@pytest.fixture
def entered(account: AwsSession, open_aws: Callable[..., KnotCluster]) -> Iterator[KnotCluster]:
    """Open a cluster in a stack whose jobs can be entered."""
    up(account, StackOptions(shell=True), lambda _: None)
    yield open_aws(part_interval=1)
    up(account, StackOptions(), lambda _: None)


def run(*words: str) -> str:
    result = CliRunner().invoke(knot, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def running(cluster: KnotCluster) -> str:
    """Wait until a job runs, and give its id."""
    return until(
        lambda: next((row.job_id for row in cluster.jobs if row.counts.get("RUNNING")), ""),
        seconds=120,
    )


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which becomes the shell."""
    command = [sys.executable, "-m", "dask", "knot", "shell", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=-3)


def test_a_container_is_looked_into_and_entered(docker: KnotCluster) -> None:
    def wait_long() -> None:
        import time

        time.sleep(100)

    with Client(docker) as client:
        future = client.submit(wait_long, key="wait-1")
        job = running(docker)
        assert "in wait_long" in run("stacks", "wait-1", "--run", docker.name)
        (row,) = run("top", "--once", "--run", docker.name).splitlines()[-1:]
        assert "wait-1" in row
        assert "of 400.0 MiB" in row
        code = "import os; print(os.environ['AWS_BATCH_JOB_ID'], os.path.exists('/.dockerenv'))"
        there = shell("wait-1", "--run", docker.name, "--", "python", "-c", code)
        assert there.returncode == 0, there.stderr
        assert there.stdout.split() == [job, "True"]
        again = shell(job, "--run", docker.name, "--", "sh", "-c", "exit 3")
        assert again.returncode == 3, again.stderr
        future.release()


def test_a_container_whose_task_holds_the_lock_is_found_all_the_same(docker: KnotCluster) -> None:
    def hold_the_lock() -> None:
        import re

        re.match(r"(a+)+$", "a" * 40 + "b")

    with Client(docker) as client:
        future = client.submit(hold_the_lock, key="hold-1")
        job = running(docker)
        assert "in hold_the_lock" in run("stacks", "hold-1", "--run", docker.name)
        there = shell(job, "--run", docker.name, "--", "sh", "-c", "echo $AWS_BATCH_JOB_ID")
        assert there.stdout.split() == [job], there.stderr
        future.release()


def test_a_job_on_aws_is_looked_into_and_entered(
    entered: KnotCluster, machine: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_long() -> None:
        import time

        time.sleep(100)

    said = tmp_path / "said"
    program = f"#!{sys.executable}\nimport json, sys\nopen({str(said)!r}, 'w').write("
    for name in TOOLS:
        (tmp_path / name).write_text(f"{program}json.dumps(sys.argv))\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with Client(entered) as client:
        future = client.submit(wait_long, key="wait-1")
        job = running(entered)
        assert "in wait_long" in run("stacks", "wait-1", "--run", entered.name)
        assert "wait-1" in run("top", "--once", "--run", entered.name)
        there = shell("wait-1", "--run", entered.name, "--", "python", "-V")
        assert there.returncode == 0, there.stderr
        words = json.loads(said.read_text())[1:]
        (detail,) = entered._lifetime.opened._engine.client.describe_jobs(jobs=[job])["jobs"]
        given = dict(zip(words[3::2], words[4::2], strict=True))
        assert words[:3] == ["ecs", "execute-command", "--interactive"]
        assert given.pop("--cluster").startswith("arn:aws:ecs:us-east-1:")
        assert given == {
            "--region": "us-east-1",
            "--task": detail["container"]["taskArn"],
            "--container": "default",
            "--command": "python -V",
        }
        future.release()


def test_a_stack_that_lets_nobody_in_says_what_to_do(open_aws: Callable[..., KnotCluster]) -> None:
    cluster = open_aws(part_interval=1)
    with Client(cluster) as client:
        import time

        future = client.submit(time.sleep, 100, key="sleep-1")
        there = shell("sleep-1", "--run", cluster.name)
        assert there.returncode == 1
        assert "needs `session-manager-plugin`" in there.stderr or "up --shell" in there.stderr
        future.release()
