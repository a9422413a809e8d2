"""As a new user does it: `dask knot up`, `image`, an example, `down`, with the least policy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.rig.machine import Rig
from tests.rig.people import hire

pytestmark = pytest.mark.timeout(600)

COMMAND = "from dask.cli import cli; from dask_knot.cli import knot; cli.add_command(knot); cli()"


#: A task that ends its process, so that its log is read, and one that is ended with the cluster.
MISHAPS = """
import os, time
from distributed import Client
from dask_knot import KnotCluster
def die():
    print("about to die", flush=True)
    os._exit(3)
if __name__ == "__main__":
    with KnotCluster() as cluster, Client(cluster) as client:
        print(client.submit(die).exception())
        client.submit(time.sleep, 300)
        while len(cluster.jobs) < 2:
            time.sleep(0.1)
"""


class Person:
    """Somebody with credentials of their own, who runs commands in a terminal."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home, self._environment = home, environment

    def dask(self, *arguments: str) -> str:
        """Run `dask knot …`."""
        return self.run("-c", COMMAND, "knot", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python, which must succeed."""
        done = self._run(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Run `dask knot …`, which must end with one message."""
        done = self._run("-c", COMMAND, "knot", *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        return done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=self._environment,
            cwd=self._home,  # Python finds first what is here
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def home(tmp_path: Path, project: Path) -> Path:
    """Give a folder with a copy of the project, which nobody changes while images are made."""
    for name in ("dask_knot", "examples"):
        shutil.copytree(
            project / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def employ(rig: Rig, name: str, policy: str, home: Path) -> Person:
    """Give somebody a printed policy, and a terminal in which AWS knows them."""
    return Person(
        home,
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **rig.environment,
            **hire(rig, name, json.loads(policy)),
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


def objects(rig: Rig) -> list[str]:
    """Name the objects in the buckets of the account."""
    with closing(rig.client("s3")) as s3:
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        found = [s3.list_objects_v2(Bucket=bucket).get("Contents", []) for bucket in buckets]
    return [one["Key"] for of_bucket in found for one in of_bucket]


def images(rig: Rig) -> set[str]:
    """Name what has been pushed: the registry remembers what others have."""
    ecr = rig.client("ecr")
    found = ecr.describe_images(repositoryName="dask-knot")["imageDetails"]
    ecr.close()
    return {tag for one in found for tag in one["imageTags"]}


def assert_months(printed: str) -> None:
    """Check that the months are warm and cold as they were made."""
    means = [float(mean) for mean in re.findall(r"month +\d+: +(-?\d+\.\d\d) degrees", printed)]
    assert len(means) == 12
    assert means[6] - means[0] == pytest.approx(19.4, abs=0.5)


def test_a_new_user_from_up_to_down(enforcing: Rig, home: Path) -> None:
    rig, pi, climatology = enforcing, *(f"examples/{name}.py" for name in ("pi", "climatology"))
    root = Person(home, {**os.environ, **rig.environment, "PYTHONPATH": str(home)})
    operator = employ(rig, "operator", root.dask("policy", "--operator"), home)
    assert "CREATE_COMPLETE" in operator.dask("up")
    assert "UPDATE_COMPLETE" in operator.dask("up")  # again: nothing is made twice
    written = home / "config" / "knot-up.yaml"
    assert "engine: aws" in written.read_text()

    user = employ(rig, "user", root.dask("policy", "--user"), home)
    # What is said here once, all that runs later must know: else it would build another image.
    # The line makes it this test's own: one that another test has pushed needs no login.
    built = user.dask("image", climatology, "--line", "ENV NEW_USER=1")
    assert "/dask-knot:" in built.splitlines()[-1]
    assert "already exists" in user.dask("image", climatology)
    pushed = images(rig)
    assert_months(user.run(climatology, "--years", "2"))
    assert images(rig) == pushed
    assert "pi ≈ 3.14" in user.run(pi, "--tasks", "10")
    assert len(images(rig) - pushed) == 1  # what a script imports is in its own image
    (home / "mishaps.py").write_text(MISHAPS)
    assert "about to die" in user.run("mishaps.py")
    assert re.search(r"s3://\S+, [1-9] objects?, ", user.dask("status"))
    assert {key.split("/")[1] for key in objects(rig)} == {"_costs"}  # all that unnamed runs leave
    assert "with the same versions as here" in user.dask("doctor")

    # What is wrong, or missing, is named.
    stranger = Person(home, {**os.environ, **rig.environment, "AWS_ACCESS_KEY_ID": "AKIDWRONG"})
    assert "are unknown to AWS (InvalidClientTokenId); sign in" in stranger.refused("status")
    denied = user.refused("down", "--yes")
    assert "lack permission for cloudformation:ListStackResources" in denied
    operator.dask("down", "--yes")
    assert left(rig) == {}
    assert not written.exists()


def test_the_data_can_be_kept_and_used_again(rig: Rig, home: Path) -> None:
    rig.reset()
    root = Person(home, {**os.environ, **rig.environment, "DASK_CONFIG": str(home / "config")})
    root.dask("up")
    kept = re.search(r": the bucket (\S+):", root.dask("down", "--yes", "--keep-data"))
    assert kept is not None
    assert {name: len(found) for name, found in left(rig).items()} == {"buckets": 1}
    assert f"s3://{kept[1]}/knot" in root.dask("up", "--existing-bucket", kept[1])
    root.dask("down", "--yes")
    assert [one["Name"] for one in left(rig)["buckets"]] == [kept[1]]
    rig.reset()
