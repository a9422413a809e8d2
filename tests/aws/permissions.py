"""What IAM would ask: which permission each call needs, and whether a policy gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dask_knot.aws.session import AwsSession

#: Calls of S3 whose permission has another name.
S3 = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "DeleteObjects": "s3:DeleteObject",
    "HeadObject": "s3:GetObject",
}
#: Needs no permission.
FREE = {"sts:GetCallerIdentity"}


@contextmanager
def recorded(session: AwsSession) -> Iterator[set[str]]:
    """Record the permissions that the calls of a session need."""
    needed: set[str] = set()

    def note(model: Any, **_: Any) -> None:
        service = model.service_model.signing_name
        action = f"{service}:{model.name}"
        if action not in FREE:
            needed.add(S3.get(model.name, action) if service == "s3" else action)

    for service in ("cloudformation", "ec2", "iam", "batch", "s3", "ecr", "logs", "sts"):
        session.client(service).meta.events.register("before-call", note)
    yield needed


def actions(policy: Mapping[str, Any]) -> set[str]:
    """List the actions of a policy."""
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def allows(policy: Mapping[str, Any], action: str, resource: str) -> bool:
    """Tell whether a policy allows an action on a resource, its conditions being met."""
    return any(
        action in statement["Action"]
        and any(_matches(pattern, resource) for pattern in _listed(statement["Resource"]))
        for statement in policy["Statement"]
    )


def _listed(resource: str | list[str]) -> list[str]:
    return [resource] if isinstance(resource, str) else resource


def _matches(pattern: str, resource: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), resource) is not None
