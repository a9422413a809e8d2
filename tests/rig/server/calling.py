"""CloudFormation calls AWS as whoever calls it: its caller needs the permissions of handlers.

A refusal ends as on AWS: a stack that can't be made is deleted, one that can't be changed is as it
was, and one that can't be deleted stays (as a whole here; AWS deletes what it can).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto import settings
from moto.cloudformation.models import Event, Stack, cloudformation_backends
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import generate_stack_id
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.access_control import IAMRequest

PATH = "/rig/stick/"
#: Permissions that a part of a template needs, or that a kind needs only for this part.
ZONES = "Fn::GetAZs", {f"ec2:Describe{name}" for name in ("AccountAttributes", "AvailabilityZones")}

Resource = Mapping[str, Any]
#: What could not be done: the resource's logical id, its kind, and why.
Refusal = tuple[str, str, str]


def install() -> None:
    """Ask for permissions before a stack is made, changed or deleted."""
    response: Any = CloudFormationResponse
    create, update, delete = response.create_stack, response.update_stack, response.delete_stack

    def create_stack(self: Any) -> ActionResult:
        wanted = Stack.parse_template(self._get_param("TemplateBody"))["Resources"]
        refusal = _first(self, wanted.items(), ("create", "read"))
        return _not_made(self, refusal) if refusal else create(self)

    def update_stack(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        refusal = _first(self, _changed(self, stack), ("update", "read"))
        if refusal is None:
            return update(self)
        stack._add_stack_event("UPDATE_IN_PROGRESS")
        _fail(stack, refusal, "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE")
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        made = stack.template_dict["Resources"].items()
        goes = [one for one in made if one[1].get("DeletionPolicy") != "Retain"]
        refusal = _first(self, goes, ("delete",))
        if refusal is None:
            return delete(self)
        _fail(stack, refusal, "DELETE_FAILED", "DELETE_FAILED")
        return EmptyResult()

    def continue_update_rollback(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        _rest(stack, "UPDATE_ROLLBACK_COMPLETE")
        return EmptyResult()

    response.create_stack, response.update_stack = create_stack, update_stack
    response.delete_stack = delete_stack
    response.continue_update_rollback = continue_update_rollback


def serve(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Let `/rig/stick/ACCOUNT/REGION/STACK` leave a stack as a rollback that failed does."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if not path.startswith(PATH):
            return application(environ, start)
        account, region, name = path.removeprefix(PATH).split("/")
        _rest(cloudformation_backends[account][region].get_stack(name), "UPDATE_ROLLBACK_FAILED")
        start("200 OK", [("Content-Length", "0")])
        return [b""]

    return answer


def _changed(response: Any, stack: Stack) -> Iterator[tuple[str, Resource]]:
    """Give what an update touches: all resources, if tags or parameters change."""
    wanted = Stack.parse_template(response._get_param("TemplateBody"))["Resources"]
    tags = {one["Key"]: one["Value"] for one in response._get_param("Tags", [])}
    parameters = {
        one["ParameterKey"]: one["ParameterValue"]
        for one in response._get_param("Parameters", [])
        if "ParameterValue" in one
    }
    is_all = bool(tags and tags != stack.tags) or not parameters.items() <= stack.parameters.items()
    old = stack.template_dict["Resources"]
    yield from ((id, one) for id, one in wanted.items() if is_all or one != old.get(id))


def _first(
    response: Any, resources: Iterable[tuple[str, Resource]], handlers: tuple[str, ...]
) -> Refusal | None:
    """Find the first permission that is missing; None if there is none, or all may do all."""
    if ActionAuthenticatorMixin.request_count < settings.INITIAL_NO_AUTH_ACTION_COUNT:
        return None
    request = IAMRequest(
        response.current_account, "POST", "/", {}, b"", response.headers, "CreateStack"
    )
    for id, resource in resources:
        for action in _needed(resource, handlers):
            request._action = action
            try:
                request.check_action_permitted("*")
            except AccessDeniedError as error:
                return id, resource["Type"], str(error.message)
    return None


def _needed(resource: Resource, handlers: tuple[str, ...]) -> list[str]:
    from tests.rig.handlers import calls, is_ours, without_property  # what it reads takes a second

    text = json.dumps(resource)
    needed = {one for one in calls(resource["Type"], handlers) if is_ours(one)}
    needed -= without_property(text)
    return sorted(needed | (ZONES[1] if ZONES[0] in text else set()))


def _not_made(response: Any, refusal: Refusal) -> ActionResult:
    name, account, region = (
        response._get_param("StackName"),
        response.current_account,
        response.region,
    )
    id = generate_stack_id(name, region, account)
    stack = Stack(id, name, {}, {}, account, region)
    stack._add_stack_event("CREATE_IN_PROGRESS")
    _fail(stack, refusal, "CREATE_FAILED", "DELETE_COMPLETE")  # `OnFailure` is `DELETE`
    response.cloudformation_backend.deleted_stacks[id] = stack
    return ActionResult({"StackId": id})


def _fail(stack: Stack, refusal: Refusal, status: str, ending: str) -> None:
    id, kind, reason = refusal
    event = Event(stack.stack_id, stack.name, id, "", kind, status, reason, None)
    stack.events.append(event)
    _rest(stack, ending)


def _rest(stack: Stack, status: str) -> None:
    stack._add_stack_event(status)
    stack.status = status
