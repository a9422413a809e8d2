"""Makes, changes and deletes a stack: idempotent, and nothing it leaves blocks the next try."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import StackOutputs, find_stack, parse_outputs, read_outputs, stack_tags
from dask_knot.aws.progress import EventReport, Follower, StackEvent, noting
from dask_knot.aws.session import REFUSALS, AwsSession, Pause, code_of, translate, translated
from dask_knot.aws.surroundings import find_parameters
from dask_knot.aws.template import write_template
from dask_knot.aws.template.words import tag_parameters
from dask_knot.errors import KnotError, StackError
from dask_knot.settings.awschecks import tag_value

__all__ = ["EventReport", "StackEvent", "StackOutputs", "read_outputs", "up"]

#: What a first creation leaves that failed: nothing in it can be used, nothing was written.
NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS")
MADE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


def up(
    session: AwsSession, options: StackOptions, report: EventReport, pause: Pause = time.sleep
) -> StackOutputs:
    """Make the stack, or change it to what the options say.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    options : StackOptions
        What the user chose.
    report : callable
        Told every step of CloudFormation.
    pause : callable
        Waits for so many seconds.

    Raises
    ------
    StackError
        If CloudFormation can't make it: its own reasons, and what to do.
    AwsError
        If AWS refuses or doesn't answer.
    """
    parameters = find_parameters(session, options, noting(report))
    write_template(options)  # one that is too long is told before anything is made
    client = session.client("cloudformation")
    stack = _rested(client, options.name, report, pause)
    if options.owner is None:
        options = replace(options, owner=owner_of(session, stack))
    request = _request(options, parameters)
    is_new = stack is None
    id = _create(client, request) if stack is None else str(stack["StackId"])
    follower = Follower(client, id, report, pause)
    if is_new or _update(client, request, follower):
        status = follower.follow()
        if status != ("CREATE_COMPLETE" if is_new else "UPDATE_COMPLETE"):
            raise follower.failure(_what_failed(options.name, is_new, status))
    with translated():
        return parse_outputs(client.describe_stacks(StackName=id)["Stacks"][0])


def _what_failed(name: str, is_new: bool, status: str) -> str:
    if not is_new:
        return (
            f"the stack {name!r} couldn't be changed ({status}) and is as it was before. "
            "CloudFormation's reasons:"
        )
    left = (
        "nothing of it is left"
        if status == "DELETE_COMPLETE"
        else f"it is {status}, and the next `up` removes it"
    )
    return f"the stack {name!r} couldn't be made; {left}. CloudFormation's reasons:"


def _rested(client: Any, name: str, report: EventReport, pause: Pause) -> Mapping[str, Any] | None:
    """Give the stack when it can be changed; None when it must be made."""
    stack = find_stack(client, name)
    if stack is None:
        return None
    id, status = stack["StackId"], stack["StackStatus"]
    follower = Follower(client, id, report, pause)
    if status.endswith("_IN_PROGRESS") and status not in NEVER_MADE:
        status = follower.follow()  # an `up` or `down` that was interrupted, or another person's
    if status == "UPDATE_ROLLBACK_FAILED":
        with translated():
            client.continue_update_rollback(StackName=id)
        status = follower.follow()
    if status in NEVER_MADE:
        with translated():
            client.delete_stack(StackName=id)
        status = follower.follow()
    if status == "DELETE_COMPLETE":
        return None
    if status not in MADE:
        raise follower.failure(
            f"the stack {name!r} is {status}: run `dask knot down --name {name}`, then `dask "
            "knot up`"
        )
    return find_stack(client, id)


def _request(options: StackOptions, parameters: Mapping[str, str]) -> dict[str, Any]:
    tags = options.all_tags
    parameters = {**parameters, **tag_parameters(options)}
    return {
        "StackName": options.name,
        "TemplateBody": write_template(options),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }


def _create(client: Any, request: Mapping[str, Any]) -> str:
    try:
        # A stack that can't be made is gone then, so that nothing blocks the next try.
        return str(client.create_stack(**request, OnFailure="DELETE")["StackId"])
    except REFUSALS as error:
        raise _refused(error) from error


def _update(client: Any, request: Mapping[str, Any], follower: Follower) -> bool:
    """Start an update; tell whether there is anything to change."""
    follower.skip()
    try:
        client.update_stack(**request)
    except REFUSALS as error:
        if "No updates are to be performed" in str(error):
            return False
        raise _refused(error) from error
    return True


def _refused(error: Exception) -> KnotError:
    if code_of(error) == "ValidationError":
        return StackError(f"CloudFormation refused the stack: {error}")
    return translate(error)


def owner_of(session: AwsSession, stack: Mapping[str, Any] | None) -> str:
    """Name who made the stack, or makes it: a user or session, the last part of an ARN.

    Sessions may have names that no tag can have: ``bob@example.com, Bob``.
    """
    made_by = stack_tags(stack).get(names.OWNER_TAG) if stack else None
    return made_by or tag_value(session.identity()["Arn"].rpartition("/")[2].rpartition(":")[2])
