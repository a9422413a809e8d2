"""As a new user does it: `dask knot up`, `image`, an example, `down`, with the least policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rig.machine import Rig

pytestmark = pytest.mark.timeout(600)

COMMAND = "from dask.cli import cli; from dask_knot.cli import knot; cli.add_command(knot); cli()"


class Person:
    """Somebody with credentials of their own, who runs commands in a terminal."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def dask(self, *arguments: str) -> str:
        """Run `dask knot …`."""
        return self.run("-c", COMMAND, "knot", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python, which must succeed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def hire(rig: Rig, name: str, policy: str, folder: Path) -> Person:
    """Give somebody a policy and an access key."""
    iam = rig.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="knot", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    project = str(Path(__file__).parents[2])
    return Person(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **rig.environment,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "DASK_CONFIG": str(folder),
            "PYTHONPATH": project,
            "DASK_KNOT__BUILD__NETWORK": "host",
            "DASK_KNOT__MEMORY": "400 MiB",
            # The emulated AWS is where no container would look for it.
            "DASK_KNOT__ENVIRONMENT": repr({"AWS_ENDPOINT_URL": rig.endpoint}),
        }
    )


@pytest.fixture
def enforcing(rig: Rig) -> Iterator[Rig]:
    """Check every call against IAM, but those of the administrator who hires."""
    rig.reset()
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


def test_a_new_user_from_up_to_down(enforcing: Rig, tmp_path: Path) -> None:
    rig, project = enforcing, Path(__file__).parents[2]
    alone = Person({**os.environ, "PYTHONPATH": str(project), "DASK_CONFIG": str(tmp_path)})
    operator = hire(rig, "operator", alone.dask("policy", "--operator"), tmp_path)
    rig.enforce_permissions()
    made = operator.dask("up")
    assert "CREATE_COMPLETE" in made
    assert "engine: aws" in (tmp_path / "knot-up.yaml").read_text()

    rig.enforce_permissions(False)
    policy = operator.dask("policy", "--user")
    user = hire(rig, "user", policy, tmp_path)
    rig.enforce_permissions()
    example = str(project / "examples" / "pi.py")
    built = user.dask("image", example)
    assert "/dask-knot:" in built.splitlines()[-1]
    assert "is there already" in user.dask("image", example)
    assert "pi ≈ 3.14" in user.run(example, "--tasks", "10")
    assert "0 objects" in user.dask("status")  # an unnamed run leaves nothing

    operator.dask("down", "--yes")
    rig.enforce_permissions(False)
    assert left(rig) == {}
    assert json.loads(policy)["Version"] == "2012-10-17"
    assert not (tmp_path / "knot-up.yaml").exists()
