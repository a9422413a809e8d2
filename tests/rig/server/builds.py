"""A CodeBuild that builds: the commands of a project run on this machine, as the project's role.

They find Docker's engine and an `aws` of their own, which knows the few commands that our builds
use. What they print goes to CloudWatch with the role's credentials: all that it may not do, fails.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
from moto.codebuild.exceptions import InvalidInputException
from moto.codebuild.models import CodeBuildBackend
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult

from tests.rig.server.access import assume

#: Seconds between two portions of a log.
PORTION = 0.1
#: The command line of AWS, as far as builds need it.
AWS = """\
#!{python}
import base64, os, sys
import boto3

words = [word for word in sys.argv[1:] if word != "--quiet"]
if words[:2] in (["s3", "cp"], ["s3", "rm"]):
    bucket, _, key = words[2].removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    if words[1] == "rm":
        s3.delete_object(Bucket=bucket, Key=key)
    else:
        sys.stdout.buffer.write(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
elif words[:2] == ["ecr", "get-login-password"]:
    answer = boto3.client("ecr").get_authorization_token()["authorizationData"][0]
    print(base64.b64decode(answer["authorizationToken"]).decode().partition(":")[2])
else:
    sys.exit(f"aws: {{words}} is unknown here")
"""


def install(endpoint: str) -> None:
    """Let builds be real.

    Parameters
    ----------
    endpoint : str
        Where this server answers.
    """
    backend: Any = CodeBuildBackend
    start = backend.start_build

    def start_build(self: Any) -> ActionResult:
        name = self._get_param("projectName")
        running = [one for one in _builds.values() if not one.described["buildComplete"]]
        if name in self.codebuild_backend.codebuild_projects and len(running) >= MOST:
            raise TooMany
        given = self._get_param("environmentVariablesOverride") or []
        _variables[name] = {one["name"]: one["value"] for one in given}
        return make(self)

    def start_one(self: Any, project_name: str, *more: Any) -> dict[str, Any]:
        described: dict[str, Any] = start(self, project_name, *more)
        project = self.codebuild_projects[project_name].project_metadata
        build = Build(described, project, _variables.pop(project_name, {}), endpoint)
        _builds[described["id"]] = build
        threading.Thread(target=build.run, daemon=True).start()
        return described

    def batch_get_builds(self: Any, ids: list[str]) -> list[dict[str, Any]]:
        own = [one["id"] for some in self.build_metadata_history.values() for one in some]
        return [_builds[id].described for id in ids if id in own]

    def stop_build(self: Any, build_id: str) -> dict[str, Any]:
        _builds[build_id].stop()
        return _builds[build_id].described

    make = CodeBuildResponse.start_build
    CodeBuildResponse.start_build = start_build  # type: ignore[method-assign]
    backend.start_build, backend.stop_build = start_one, stop_build
    backend.batch_get_builds = batch_get_builds


#: Builds by id, and the variables of those that are about to start.
_builds: dict[str, Build] = {}
_variables: dict[str, dict[str, str]] = {}
#: So many builds run at once.
MOST = 4


class TooMany(InvalidInputException):
    """No more builds may run."""

    code = "AccountLimitExceededException"

    def __init__(self) -> None:
        super().__init__(f"Cannot have more than {MOST} builds in queue for the account")


class Build:
    """One build: its description changes while it runs.

    Parameters
    ----------
    described : dict
        What CodeBuild says of it.
    project : mapping
        What it is a build of.
    variables : mapping of str to str
        What it was started with.
    endpoint : str
        Where AWS answers.
    """

    def __init__(
        self, described: Any, project: Any, variables: dict[str, str], endpoint: str
    ) -> None:
        self.described = described
        self._project, self._endpoint = project, endpoint
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._group = project["logsConfig"]["cloudWatchLogs"]
        self._variables = variables
        environment = [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ]
        described["environment"] = {**project["environment"], "environmentVariables": environment}
        described["source"] = project["source"]
        described["logs"] = {"cloudWatchLogs": self._group}

    def run(self) -> None:
        """Run the commands of the project, phase by phase."""
        self._begin("PROVISIONING")
        with tempfile.TemporaryDirectory(prefix="build-") as folder:
            try:
                self._provide(Path(folder))
                commands = json.loads(self._project["source"]["buildspec"])["phases"]["build"]
                self._begin("BUILD")
                is_good = all(self._run(one, Path(folder)) for one in commands["commands"])
            except Exception as error:  # what a role may not do, for example
                self.described["phases"][-1]["contexts"] = [
                    {"statusCode": "CLIENT_ERROR", "message": str(error)}
                ]
                is_good = False
        status = "STOPPED" if self._is_stopped else "SUCCEEDED" if is_good else "FAILED"
        self._end(status)
        self.described |= {
            "buildStatus": status,
            "currentPhase": "COMPLETED",
            "endTime": _now(),
            "buildComplete": True,
        }

    def stop(self) -> None:
        """End it."""
        self._is_stopped = True
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def _begin(self, phase: str) -> None:
        self._end("SUCCEEDED")
        self.described["phases"].append({"phaseType": phase, "startTime": _now()})
        self.described["currentPhase"] = phase

    def _end(self, status: str) -> None:
        self.described["phases"][-1] |= {
            "phaseStatus": status,
            "endTime": _now(),
            "durationInSeconds": 0,
        }

    def _provide(self, folder: Path) -> None:
        """Make the machine: credentials of the role, the commands that there are, a log."""
        keys = assume(self._project["serviceRole"], self.described["id"])
        stream = f"{self._group['streamName']}/{self.described['id'].partition(':')[2]}"
        self._environment = {
            "PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "DOCKER_HOST": os.environ["DOCKER_HOST"],
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["Token"],
            **self._variables,
        }
        (folder / "bin").mkdir()
        (folder / "bin" / "aws").write_text(AWS.format(python=sys.executable))
        (folder / "bin" / "aws").chmod(0o755)
        self._logs = boto3.client(
            "logs",
            endpoint_url=self._endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["Token"],
        )
        self._place = {"logGroupName": self._group["groupName"], "logStreamName": stream}
        self._logs.create_log_stream(**self._place)
        self.described["logs"] |= {"groupName": self._group["groupName"], "streamName": stream}

    def _run(self, command: str, folder: Path) -> bool:
        """Run a command; tell whether it went well."""
        self._print([f"[Container] {datetime.now():%Y/%m/%d %H:%M:%S} Running command {command}"])
        self._process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self._is_stopped:
            self.stop()
        assert self._process.stdout is not None
        with closing(self._process.stdout) as output:
            lines: list[str] = []
            due = time.monotonic() + PORTION
            for line in output:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                if time.monotonic() > due:
                    self._print(lines)
                    lines, due = [], time.monotonic() + PORTION
        self._print(lines)
        return self._process.wait() == 0

    def _print(self, lines: list[str]) -> None:
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line} for line in lines if line]
        if events:
            self._logs.put_log_events(**self._place, logEvents=events)


def _now() -> float:
    return datetime.now(timezone.utc).timestamp()
