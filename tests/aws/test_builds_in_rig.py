"""Images are built in the emulated account, for real: no Docker engine answers the client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner

from dask_knot.aws.images import ensure_image
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from dask_knot.cli.main import knot
from dask_knot.errors import ImageError
from dask_knot.image.spec import ImageSpec
from tests.aws.account import unheard
from tests.image.index import made_up_wheel, serving
from tests.rig.machine import Rig
from tests.rig.server.images import AS_CONFIG

pytestmark = pytest.mark.timeout(300)

SCRIPT = """\
from distributed import Client
from dask_knot import KnotCluster

if __name__ == "__main__":
    settings = {"engine": "aws", "jobs": 2, "memory": "400 MiB", "dashboard_address": None}
    with KnotCluster(**settings) as cluster, Client(cluster) as client:
        print("found", client.submit(sum, [40, 2]).result(timeout=120))
"""
SECRET = "hunter22"


@pytest.fixture
def session(in_rig: Rig, job_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    in_rig.reset()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with closing(open_aws_session()) as session:
        yield session
    in_rig.reset()


@pytest.fixture
def outputs(session: AwsSession) -> StackOutputs:
    return up(session, StackOptions(), unheard)


@pytest.fixture
def spec(job_image: str) -> ImageSpec:
    return ImageSpec(packages=(), network="host", base=job_image)


def left(session: AwsSession, outputs: StackOutputs) -> list[str]:
    """Name what builds have left in the bucket."""
    found = session.client("s3").list_objects_v2(Bucket=outputs.bucket, Prefix="knot/_builds/")
    return [one["Key"] for one in found.get("Contents", ())]


def test_a_script_gets_its_image_and_runs(
    session: AwsSession,
    outputs: StackOutputs,
    job_image: str,
    in_rig: Rig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "config"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    options = ["--remote", "--network", "host", "--base", job_image]
    done = CliRunner().invoke(knot, ["image", *options, str(script)])
    assert done.exit_code == 0, done.output
    assert "is building in your AWS account" in done.output
    image = done.output.splitlines()[-1]
    assert left(session, outputs) == []
    with closing(in_rig.docker()) as docker:  # jobs pull what was pushed
        docker.images.remove(image, force=True, noprune=True)
    variables = {**os.environ, "DASK_CONFIG": str(tmp_path / "config")}
    ran = subprocess.run(
        [sys.executable, str(script)], env=variables, capture_output=True, text=True, timeout=200
    )
    assert "found 42" in ran.stdout, ran.stderr


def test_a_line_that_fails_is_shown(
    session: AwsSession, outputs: StackOutputs, spec: ImageSpec
) -> None:
    said: list[str] = []
    failing = replace(spec, lines=("RUN echo something-printed && false",))
    with pytest.raises(ImageError, match=r"RUN echo something-printed && false\n +something-pr"):
        ensure_image(session, outputs, failing, said.append)
    told = next(line for line in said if line.startswith("no Docker engine here (DOCKER_H"))
    assert told.endswith(
        "connection refused: it isn't running): building the image in your AWS account"
    )
    assert left(session, outputs) == []


def test_secrets_reach_the_build_and_stay_nowhere(
    session: AwsSession,
    outputs: StackOutputs,
    spec: ImageSpec,
    in_rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login, said = f"ada:{SECRET}", list[str]()
    with serving({"madeup": made_up_wheel("madeup")}, login) as host:
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://{login}@{host}/simple")
        # pip itself prints both.
        url = f"http://{login}@{host}/madeup-1.0-py3-none-any.whl?token={SECRET}"
        spec = replace(spec, packages=(f"madeup @ {url}",))
        image = ensure_image(session, outputs, spec, said.append)
    assert any("Successfully installed madeup" in line for line in said), said
    assert left(session, outputs) == []
    builds = session.client("codebuild")
    (id,) = builds.list_builds_for_project(projectName=outputs.builder)["ids"]
    (build,) = builds.batch_get_builds(ids=[id])["builds"]
    place = build["logs"]
    events = session.client("logs").get_log_events(
        logGroupName=place["groupName"], logStreamName=place["streamName"], startFromHead=True
    )["events"]
    with closing(in_rig.docker()) as docker:
        docker.images.pull(image, auth_config=AS_CONFIG)
        history = docker.images.get(image).history()
    for told in (said, build, events, history):
        assert SECRET not in json.dumps(told, default=str)
