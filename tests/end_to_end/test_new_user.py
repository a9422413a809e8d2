"""As a new user does it: `dask knot up`, `image`, an example, `down`, with the least policy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dask_knot.aws.policy import PUSH
from tests.aws.permissions import actions
from tests.rig.machine import Rig

pytestmark = pytest.mark.timeout(600)

COMMAND = "from dask.cli import cli; from dask_knot.cli import knot; cli.add_command(knot); cli()"


#: What the user's policy allows and IAM isn't asked for here. All the rest is asked for, so without
#: it something fails. The emulated AWS checks no PassRole, no tags and no pushes; this run ends no
#: job, reads no log, and has no upload that is given up.
UNASKED = {
    "iam:passrole",
    "batch:tagresource",
    "batch:terminatejob",
    "logs:getlogevents",
    "s3:abortmultipartupload",
    *(action.lower() for action in PUSH),
}


class Person:
    """Somebody with credentials of their own, who runs commands in a terminal."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home, self._environment = home, environment

    def dask(self, *arguments: str) -> str:
        """Run `dask knot …`."""
        return self.run("-c", COMMAND, "knot", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python, which must succeed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._environment,
            cwd=self._home,  # Python finds first what is here
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def home(tmp_path: Path, project: Path) -> Path:
    """Give a folder with a copy of the project, which nobody changes while images are made."""
    for name in ("dask_knot", "examples"):
        shutil.copytree(
            project / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def hire(rig: Rig, name: str, policy: str, home: Path) -> Person:
    """Give somebody a policy and an access key."""
    iam = rig.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="knot", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    return Person(
        home,
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **rig.environment,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "DASK_CONFIG": str(home / "config"),
            "PYTHONPATH": str(home),
            "DASK_KNOT__BUILD__NETWORK": "host",
            "DASK_KNOT__MEMORY": "400 MiB",
            # The emulated AWS is where no container would look for it.
            "DASK_KNOT__ENVIRONMENT": repr({"AWS_ENDPOINT_URL": rig.endpoint}),
        },
    )


@pytest.fixture
def enforcing(rig: Rig) -> Iterator[Rig]:
    """Check every call against IAM, but those of the account itself."""
    rig.reset()
    rig.enforce_permissions()
    yield rig
    rig.enforce_permissions(False)
    rig.reset()


def left(rig: Rig) -> dict[str, list[Any]]:
    """List what is in the account."""
    asked = {
        "stacks": ("cloudformation", "describe_stacks", "Stacks"),
        "buckets": ("s3", "list_buckets", "Buckets"),
        "repositories": ("ecr", "describe_repositories", "repositories"),
        "queues": ("batch", "describe_job_queues", "jobQueues"),
        "environments": ("batch", "describe_compute_environments", "computeEnvironments"),
        "logs": ("logs", "describe_log_groups", "logGroups"),
        "roles": ("iam", "list_roles", "Roles"),
        "profiles": ("iam", "list_instance_profiles", "InstanceProfiles"),
    }
    found = {}
    for name, (service, call, key) in asked.items():
        client = rig.client(service)
        found[name] = getattr(client, call)()[key]
        client.close()
    batch = rig.client("batch")
    active = batch.describe_job_definitions(status="ACTIVE")
    batch.close()
    found["definitions"] = active["jobDefinitions"]
    found["roles"] = [one for one in found["roles"] if "aws-service-role" not in one["Path"]]
    # What moto's CloudFormation can't make, it can't delete: the group is of the containers.
    return {name: list(some) for name, some in found.items() if some}


def images(rig: Rig) -> int:
    """Count what has been pushed."""
    ecr = rig.client("ecr")
    count = len(ecr.describe_images(repositoryName="dask-knot")["imageDetails"])
    ecr.close()
    return count


def assert_months(printed: str) -> None:
    """Check that the months are warm and cold as they were made."""
    means = [float(mean) for mean in re.findall(r"month +\d+: +(-?\d+\.\d\d) degrees", printed)]
    assert len(means) == 12
    assert means[6] - means[0] == pytest.approx(19.4, abs=0.5)


def test_a_new_user_from_up_to_down(enforcing: Rig, home: Path) -> None:
    rig, pi, climatology = enforcing, *(f"examples/{name}.py" for name in ("pi", "climatology"))
    root = Person(home, {**os.environ, **rig.environment, "PYTHONPATH": str(home)})
    operator = hire(rig, "operator", root.dask("policy", "--operator"), home)
    assert "CREATE_COMPLETE" in operator.dask("up")
    written = home / "config" / "knot-up.yaml"
    assert "engine: aws" in written.read_text()

    policy = root.dask("policy", "--user")
    user = hire(rig, "user", policy, home)
    # What is said here once, all that runs later must know: else it would build another image.
    # The line makes it this test's own: one that another test has pushed needs no login.
    built = user.dask("image", "examples", "--line", "ENV NEW_USER=1")
    assert "/dask-knot:" in built.splitlines()[-1]
    assert "is there already" in user.dask("image")
    assert_months(user.run(climatology, "--years", "2"))
    assert "pi ≈ 3.14" in user.run(pi, "--tasks", "10")
    assert images(rig) == 1
    assert "0 objects" in user.dask("status")  # an unnamed run leaves nothing
    assert "of the same versions as here" in user.dask("doctor")

    operator.dask("down", "--yes")
    assert left(rig) == {}
    granted = {action.lower() for action in actions(json.loads(policy))}
    assert granted - rig.asked("user") == UNASKED
    assert not written.exists()
