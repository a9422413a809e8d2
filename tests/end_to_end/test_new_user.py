"""As a new user does it: `dask knot up`, `image`, an example, `down`, with the least policy."""

from __future__ import annotations

import json
import os
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


#: The doctor without its end: the emulated AWS has no quotas, and is reproached for that.
EXAMINE = """
from dask_knot.aws.doctor import examine
from dask_knot.aws.session import open_session
print([one for one in examine(open_session(), "dask-knot") if one.what == "image"])
"""


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
            # An image of this test's own: one that another test has pushed needs no login.
            "DASK_KNOT__BUILD__LINES": repr(["ENV NEW_USER=1"]),
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


def test_a_new_user_from_up_to_down(enforcing: Rig, home: Path) -> None:
    rig, example = enforcing, str(home / "examples" / "pi.py")
    root = Person(home, {**os.environ, **rig.environment, "PYTHONPATH": str(home)})
    operator = hire(rig, "operator", root.dask("policy", "--operator"), home)
    assert "CREATE_COMPLETE" in operator.dask("up")
    written = home / "config" / "knot-up.yaml"
    assert "engine: aws" in written.read_text()

    policy = root.dask("policy", "--user")
    user = hire(rig, "user", policy, home)
    assert "/dask-knot:" in user.dask("image", example).splitlines()[-1]
    assert "is there already" in user.dask("image", example)
    assert "pi ≈ 3.14" in user.run(example, "--tasks", "10")
    assert "0 objects" in user.dask("status")  # an unnamed run leaves nothing
    assert "of the same versions as here" in user.run("-c", EXAMINE)

    operator.dask("down", "--yes")
    assert left(rig) == {}
    granted = {action.lower() for action in actions(json.loads(policy))}
    assert granted - rig.asked("user") == UNASKED
    assert not written.exists()
