"""The user's policy is the least: without any one of its actions something fails, and says so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.aws.builds import BuildOrder, build_in_account
from dask_knot.aws.doctor import Verdict, examine
from dask_knot.aws.images import ensure_image
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import read_outputs
from dask_knot.aws.policy import PUSH, user_policy
from dask_knot.aws.removal import deregister
from dask_knot.aws.session import open_aws_session
from dask_knot.aws.stack import up
from dask_knot.aws.status import read_status
from dask_knot.errors import KnotError
from dask_knot.image.image import ImageSpec, make_recipe
from dask_knot.run import sending, uplink
from dask_knot.run.store import Store
from tests.aws.account import unheard
from tests.aws.permissions import actions
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import SMALL
from tests.rig.machine import Rig
from tests.rig.people import hire, permit, without

pytestmark = pytest.mark.timeout(600)

#: What can't be taken away here: the registry of the emulated AWS, which Docker pushes to, asks IAM
#: for nothing.
UNASKED = set(PUSH)
#: How a refusal names an action that S3 doesn't name.
NAMED = {"s3:AbortMultipartUpload": "privileges to complete for path knot/run/large"}


@dataclass(frozen=True)
class Desk:
    """Where a user works: credentials are in the variables of this process."""

    rig: Rig
    image: str
    caplog: pytest.LogCaptureFixture

    def cluster(self, **more: str) -> KnotCluster:
        """Open a cluster in the emulated AWS."""
        quick = {"gather-quiet": "20ms", "poll-fastest": "50ms", "poll-slowest": "500ms"}
        with dask.config.set({"knot.aws": quick | {"patience": "2s"}}):
            return KnotCluster(engine="aws", image=self.image, **SMALL | more)


def status(desk: Desk) -> None:
    with closing(open_aws_session()) as session:
        read_status(session, read_outputs(session, "dask-knot"))


def doctor(desk: Desk) -> None:
    with closing(open_aws_session()) as session:
        wrong = [one for one in examine(session, "dask-knot") if one.verdict is Verdict.BAD]
    if wrong:
        pytest.fail(str(wrong))  # the whole of it


def new_image(desk: Desk) -> ImageSpec:
    now = f"ENV NOW={time.time()}"
    return ImageSpec(packages=(), network="host", base=desk.image, lines=(now,))


def image(desk: Desk) -> None:
    with closing(open_aws_session()) as session:
        ensure_image(session, read_outputs(session, "dask-knot"), new_image(desk), unheard)


def give_up_an_upload(desk: Desk) -> None:
    """S3 refuses parts that are too small when it is to join them: what is there is deleted."""
    with closing(open_aws_session()) as session, pytest.MonkeyPatch.context() as patch:
        outputs = read_outputs(session, "dask-knot")
        for module in (sending, uplink):
            patch.setattr(module, "PART_BYTES", 2**20)
        patch.setattr(uplink, "PARTED_BYTES", 2**20)
        store = Store(outputs.store_url, **session.store_options(outputs.store_url))
        with pytest.raises(KnotError, match="EntityTooSmall"):
            store.put("run/large", [bytes(3 * 2**20)])


def work(desk: Desk) -> None:
    with desk.cluster() as cluster, Client(cluster) as client:
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3


def read_a_log(desk: Desk) -> None:
    def die() -> None:
        print("about to die", flush=True)
        os._exit(3)

    with desk.cluster() as cluster, Client(cluster) as client:
        error = client.submit(die, pure=False).exception(timeout=60)
    if "about to die" not in str(error):
        pytest.fail(str(error))


def close_early(desk: Desk) -> None:
    with desk.cluster() as cluster, Client(cluster) as client:
        client.submit(time.sleep, 100, pure=False)
        until(lambda: cluster.jobs, 60)
    if desk.caplog.messages:
        pytest.fail(str(desk.caplog.messages))


def build_in_the_account(desk: Desk) -> None:
    with closing(open_aws_session()) as session:
        outputs = read_outputs(session, "dask-knot")
        ensure_image(session, outputs, replace(new_image(desk), remote=True), unheard)


def end_a_build(desk: Desk) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with closing(open_aws_session()) as session:
        outputs = read_outputs(session, "dask-knot")
        recipe = make_recipe(new_image(desk), unheard)
        order = BuildOrder(recipe, f"{outputs.repository}:{recipe.tag}", "host")
        with suppress(KeyboardInterrupt):
            build_in_account(session, outputs, order, unheard, pause=interrupt)


def wait_in_vain(desk: Desk) -> None:
    """Give up a job whose turn doesn't come, since others have all machines."""
    with desk.cluster() as other, Client(other) as client:
        sleepers = client.map(time.sleep, [100] * 8, pure=False)
        until(lambda: other.jobs, 60)
        with desk.cluster(start_timeout="3s") as cluster, Client(cluster) as second:
            error = second.submit(sum, [1]).exception(timeout=60)
        del sleepers
    if "vCPUs are busy" not in str(error) or "Not checked: whether" in str(error):
        pytest.fail(str(error))


Step = Callable[[Desk], None]
#: What users do; the cheapest first.
STEPS: tuple[Step, ...] = (
    image,
    status,
    doctor,
    give_up_an_upload,
    work,
    read_a_log,
    close_early,
    wait_in_vain,
    end_a_build,
    build_in_the_account,
)


@pytest.fixture
def desk(
    in_rig: Rig,
    job_image: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Desk]:
    """Give an account with a stack and an image, where every call is checked from now on."""
    in_rig.reset()
    with closing(open_aws_session()) as root:
        up(root, StackOptions(), unheard)
    yield Desk(in_rig, job_image, caplog)
    in_rig.enforce_permissions(False)
    in_rig.reset()


def test_no_action_can_be_taken_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_aws_session()) as root:
        policy = user_policy(read_outputs(root, "dask-knot"))
        desk.rig.enforce_permissions()
        for name, value in hire(desk.rig, "user", policy).items():
            monkeypatch.setenv(name, value)
        needs: dict[str, Step] = {}
        for step in STEPS:
            step(desk)
            needs = dict.fromkeys(desk.rig.asked("user"), step) | needs
        # Others ask for it only if a job, whose work is done, hasn't ended yet when they close.
        needs["batch:terminatejob"] = close_early
        for action in sorted(actions(policy) - UNASKED):
            deregister(root.client("batch"), "dask-knot")  # else it is used again
            desk.caplog.clear()
            permit(desk.rig, "user", without(policy, action))
            said = refusal(needs[action.lower()], desk)
            # Whoever reads it knows which permission to ask for.
            assert NAMED.get(action, action).lower() in said.lower(), f"without {action}: {said}"


def refusal(step: Step, desk: Desk) -> str:
    """Take a step that must not be possible; give what is said of it."""
    try:
        step(desk)
    except (KnotError, AssertionError, pytest.fail.Exception) as error:
        return str(error)
    return f"{step.__name__} is possible"
