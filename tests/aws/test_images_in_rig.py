"""An image is built, pushed and run for real, in the emulated AWS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import NoReturn

import pytest

from dask_knot.aws.images import ensure_image
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.image.spec import ImageSpec
from dask_knot.run.versions import HERE
from tests.rig.fixtures import Place
from tests.rig.machine import Rig
from tests.rig.queues import Batch
from tests.rig.server.images import AS_CONFIG

#: A container of the rig has the network of the machine, or none.
SPEC = ImageSpec(packages=(), network="host")


@pytest.fixture
def session(in_rig: Rig) -> Iterator[AwsSession]:
    """Open a session with the emulated AWS."""
    opened = open_aws_session()
    yield opened
    opened.client("ecr").close()


@pytest.fixture
def place(session: AwsSession) -> Place:
    """Make a repository."""
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    made = session.client("ecr").create_repository(repositoryName=name)
    return Place(made["repository"]["repositoryUri"])


def no_engine() -> NoReturn:
    raise AssertionError("no Docker engine is needed")


def run(rig: Rig, image: str, *command: str) -> tuple[int, str]:
    """Run a command in an image, as Batch would."""
    with closing(rig.docker()) as docker:
        container = docker.containers.create(image, list(command), network_mode="host")
        try:
            container.start()
            code = container.wait()["StatusCode"]
            return int(code), container.logs().decode()
        finally:
            container.remove(force=True)


@pytest.mark.timeout(600)
def test_an_image_is_built_pushed_and_runs(session: AwsSession, place: Place, in_rig: Rig) -> None:
    said: list[str] = []
    image = ensure_image(session, place, SPEC, said.append)
    # Whichever builder: one that mounts is taken where this machine's pip has been told anything.
    assert any("RUN" in line and "install.py --no-deps" in line for line in said), said
    assert any(line.startswith("pushing") for line in said), said
    with closing(in_rig.docker()) as docker:  # what runs is what was pushed
        docker.images.remove(image, force=True, noprune=True)
        docker.images.pull(image, auth_config=AS_CONFIG)
    code, printed = run(in_rig, image, "python", "-m", "dask_knot.job")
    assert code == 2, printed
    assert printed.startswith("usage: python -m dask_knot.job STAGE-URL")
    program = "import getpass, os; print(os.getuid(), getpass.getuser(), os.access('.', os.W_OK))"
    assert run(in_rig, image, "python", "-c", program) == (0, "1000 knot True\n")
    check = "from dask_knot.run.versions import HERE, check; import json, sys; "
    assert_same = check + "check(json.loads(sys.argv[1]), HERE)"
    assert run(in_rig, image, "python", "-c", assert_same, json.dumps(dict(HERE))) == (0, "")
    # And now it is there.
    assert ensure_image(session, place, SPEC, said.append, no_engine) == image
    assert said[-1].endswith("already exists")


@pytest.mark.timeout(600)
def test_a_job_may_do_in_the_store_what_its_role_may(rig: Rig, job_image: str) -> None:
    batch, s3, iam = Batch(rig), rig.client("s3"), rig.client("iam")
    s3.create_bucket(Bucket="a-store")
    role = batch.role("reader")
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::a-store/*"}
    iam.put_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyName="least",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    program = (
        "from dask_knot.run.store import Store\nstore = Store('s3://a-store/run')\n"
        "store.put('name', [b'bytes'])\nprint('put')\nstore.get('name')"
    )
    rig.enforce_permissions()
    try:
        found = batch.wait(batch.submit(program, image=job_image, role=role))
    finally:
        rig.enforce_permissions(False)
    printed = "\n".join(batch.log(found))
    assert printed.startswith("put\n")
    assert found["container"]["exitCode"] == 1
    assert "PermissionDenied" in printed
    assert s3.get_object(Bucket="a-store", Key="run/name")["Body"].read() == b"bytes"
