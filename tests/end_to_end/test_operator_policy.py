"""The operator's policy is the least: without any one of its actions `up` or `down` fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

import pytest

from dask_knot.aws import names
from dask_knot.aws.jobs import end_stack_jobs
from dask_knot.aws.operator import operator_policy
from dask_knot.aws.options import StackOptions
from dask_knot.aws.removal import down, find_data
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from dask_knot.errors import KnotError
from tests.aws.account import unheard
from tests.aws.permissions import actions
from tests.rig.machine import Rig
from tests.rig.people import hire, permit, session_of, without

pytestmark = pytest.mark.timeout(600)

DEFINITION: Mapping[str, Any] = {
    "jobDefinitionName": "dask-knot-1c-512m-0",
    "type": "container",
    "containerProperties": {"image": "x", "vcpus": 1, "memory": 512},
    "tags": {"dask-knot": "dask-knot"},
}


@dataclass(frozen=True)
class Account:
    """An emulated account in which stacks of one kind are made, changed and deleted."""

    rig: Rig
    root: AwsSession
    options: StackOptions

    def clear(self) -> None:
        """Leave no stack."""
        down(self.root, self.options.name, unheard)

    def make(self) -> None:
        """Make a stack that is in use: with an object in its bucket and a job definition."""
        self.clear()
        outputs = up(self.root, self.options, unheard)
        self.root.client("s3").put_object(Bucket=outputs.bucket, Key="knot/a", Body=b"")
        self.root.client("batch").register_job_definition(**DEFINITION)

    def occupy(self) -> None:
        """Make a stack in whose queue a job waits, for a machine that is larger than any."""
        self.make()
        batch = self.root.client("batch")
        large = {**DEFINITION["containerProperties"], "memory": 10_000_000}
        batch.register_job_definition(**{**DEFINITION, "containerProperties": large})
        (queue,) = batch.describe_job_queues()["jobQueues"]
        definition = DEFINITION["jobDefinitionName"]
        tags = {names.TAG: self.options.name}
        batch.submit_job(
            jobName="a-job", jobQueue=queue["jobQueueName"], jobDefinition=definition, tags=tags
        )

    def stick(self) -> None:
        """Make a stack whose update could not be rolled back."""
        self.make()
        self.rig.stick(self.options.name)


def up_as_it_is(session: AwsSession, options: StackOptions) -> None:
    up(session, options, unheard)


def up_changed(session: AwsSession, options: StackOptions) -> None:
    up(session, replace(options, tags={"project": "ice"}), unheard)


def up_stuck(session: AwsSession, options: StackOptions) -> None:
    up(session, options, unheard)


def down_with_all(session: AwsSession, options: StackOptions) -> None:
    find_data(session, options.name)
    down(session, options.name, unheard)


def down_without_data(session: AwsSession, options: StackOptions) -> None:
    down(session, options.name, unheard, keep_data=True)


def end_jobs_and_down(session: AwsSession, options: StackOptions) -> None:
    if left := end_stack_jobs(session, options.name, unheard, pause=lambda seconds: None):
        raise KnotError(f"without batch:TerminateJob {left} go on")
    down(session, options.name, unheard)


Step = Callable[[AwsSession, StackOptions], None]
#: What operators do, after what must be there.
STEPS: Mapping[Step, Callable[[Account], None]] = {
    up_as_it_is: Account.clear,
    up_changed: Account.make,
    down_with_all: Account.make,
    down_without_data: Account.make,
    up_stuck: Account.stick,
    end_jobs_and_down: Account.occupy,
}

DEFAULT = StackOptions()
#: With all that the default does without: a network, a role of a Spot fleet, types to look up.
MORE = StackOptions(
    platform="spot", vpc="new", allocation_strategy="BEST_FIT", instance_types=("c6i",)
)
#: With all that can be there already, and a boundary for what is made beside it.
BOUND = StackOptions(
    platform="spot",
    on_demand_vcpus=64,
    permissions_boundary="arn:aws:iam::123456789012:policy/edge",
    existing_instance_profile="arn:aws:iam::123456789012:instance-profile/theirs",
    file_systems=("fs-0123456789abcdef0",),
    container_insights="enabled",
    capacity_minutes=30,
)


def make_what_is_there(root: AwsSession) -> None:
    """Make the policy and the profile that a stack uses and doesn't make."""
    all_of_it = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [all_of_it]})
    root.client("iam").create_policy(PolicyName="edge", PolicyDocument=policy)
    root.client("iam").create_instance_profile(InstanceProfileName="theirs")


@pytest.fixture
def account(request: pytest.FixtureRequest, in_rig: Rig) -> Iterator[Account]:
    """Give an account where every call is checked, and CloudFormation's for whoever calls it."""
    in_rig.reset()
    in_rig.enforce_permissions()
    with closing(open_aws_session()) as root:
        make_what_is_there(root)
        yield Account(in_rig, root, request.param)
    in_rig.enforce_permissions(False)
    in_rig.reset()


@pytest.mark.parametrize(
    ("account", "known"),
    [
        (DEFAULT, set()),
        (MORE, actions(operator_policy(DEFAULT))),
        (BOUND, actions(operator_policy(DEFAULT)) | actions(operator_policy(MORE))),
    ],
    ids=["default", "more", "bound"],
    indirect=["account"],
)
def test_no_action_can_be_taken_away(account: Account, known: set[str]) -> None:
    policy = operator_policy(account.options)
    needs = {step: asked(account, step, policy) for step in STEPS}
    with session_of(hire(account.rig, "less", policy)) as session:
        for action in sorted(actions(policy) - known):
            (step, *_) = [one for one in STEPS if matches(action, needs[one])] or [None]
            assert step is not None, f"nothing needs {action}"
            STEPS[step](account)
            permit(account.rig, "less", without(policy, action))
            with pytest.raises(KnotError) as caught:
                step(session, account.options)
            # Whoever reads the error knows which permission to ask for.
            named = re.findall(r"\b[a-z0-9]+:\w+", str(caught.value).lower())
            assert matches(action, named), f"without {action}: {caught.value}"


def asked(account: Account, step: Step, policy: Mapping[str, Any]) -> set[str]:
    """Take a step with the whole policy; tell which permissions were asked for."""
    STEPS[step](account)
    with session_of(hire(account.rig, step.__name__, policy)) as session:
        step(session, account.options)
    return account.rig.asked(step.__name__)


def matches(action: str, asked: Iterable[str]) -> bool:
    """Tell whether an action of a policy, which may have a ``*``, gives one that was asked for."""
    return any(fnmatch(one, action.lower()) for one in asked)
