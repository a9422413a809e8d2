"""Removes a stack and all that is in it: what it made, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.outputs import find_stack
from dask_knot.aws.progress import EventReport, Follower
from dask_knot.aws.session import AwsSession, translated
from dask_knot.aws.template import dumped
from dask_knot.errors import StackError

#: Jobs that were still running write to the bucket while it is emptied: so often it is tried.
TRIES = 3
#: Objects that one request deletes.
DELETE_AT_ONCE = 1000
#: Resources that `keep_data` leaves.
DATA = ("Bucket",)


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of `down`.

    Attributes
    ----------
    was_there : bool
        Whether there was a stack.
    kept : tuple of str
        The buckets that were left as they are.
    """

    was_there: bool
    kept: tuple[str, ...] = ()


def find_data(session: AwsSession, name: str) -> tuple[str, ...] | None:
    """Name the buckets that a stack made; None if there is no such stack."""
    client = session.client("cloudformation")
    stack = find_stack(client, name)
    if stack is None:
        return None
    return tuple(_made(client, stack["StackId"]).values())


def down(
    session: AwsSession,
    name: str,
    report: EventReport,
    keep_data: bool = False,
    pause: Callable[[float], object] = time.sleep,
) -> Removal:
    """Delete a stack with everything that it made, and the job definitions that are tagged so.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    name : str
        The stack.
    report : callable
        Told every step of CloudFormation.
    keep_data : bool
        Leave the bucket with all that is in it.
    pause : callable
        Waits for so many seconds.

    Raises
    ------
    StackError
        If something could not be deleted: what is left, and AWS's own reasons.
    AwsError
        If AWS refuses or doesn't answer.
    """
    client = session.client("cloudformation")
    stack = find_stack(client, name)
    if stack is None:
        return Removal(was_there=False)
    id = stack["StackId"]
    follower = Follower(client, id, report, pause)
    follower.skip()
    if stack["StackStatus"].endswith("_IN_PROGRESS"):
        follower.follow()
    with translated():
        buckets = _made(client, id)
        if buckets and keep_data:
            _clear_builds(session.client("s3"), stack, list(buckets.values()))
            _retain(client, id, follower)
        deregister(session.client("batch"), name)
    _delete(session, id, follower, [] if keep_data else list(buckets.values()))
    return Removal(was_there=True, kept=tuple(buckets.values()) if keep_data else ())


def _delete(session: AwsSession, id: str, follower: Follower, buckets: list[str]) -> None:
    client = session.client("cloudformation")
    for _ in range(TRIES):
        with translated():
            for bucket in buckets:
                empty(session.client("s3"), bucket)
            client.delete_stack(StackName=id)
        if follower.follow() == "DELETE_COMPLETE":
            return
        if not set(DATA) & set(follower.failed()):
            break
    left = ", ".join(_left(client, id)) or "the stack itself"
    raise follower.failure(
        f"AWS didn't delete everything. What is left: {left}. Run `dask knot down` again, or "
        "delete them in the AWS console. CloudFormation's reasons:"
    )


def _resources(client: Any, id: str) -> Iterator[Mapping[str, Any]]:
    with translated():
        for page in client.get_paginator("list_stack_resources").paginate(StackName=id):
            yield from page["StackResourceSummaries"]


def _made(client: Any, id: str) -> dict[str, str]:
    """Give the physical names of the buckets that the stack made, as far as they still are."""
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in _resources(client, id)
        if one["LogicalResourceId"] in DATA
        and one.get("PhysicalResourceId")
        and one["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
    }


def _left(client: Any, id: str) -> list[str]:
    return [
        f"{one['LogicalResourceId']} ({one.get('PhysicalResourceId', '')})"
        for one in _resources(client, id)
        if one["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def _retain(client: Any, id: str, follower: Follower) -> None:
    """Change the stack so that its deletion leaves the bucket."""
    template = client.get_template(StackName=id)["TemplateBody"]
    template = (
        json.loads(template) if isinstance(template, str) else json.loads(json.dumps(template))
    )
    stack = client.describe_stacks(StackName=id)["Stacks"][0]
    if not mark_kept(template):
        return
    client.update_stack(
        StackName=id,
        TemplateBody=dumped(template),
        Parameters=[
            {"ParameterKey": one["ParameterKey"], "UsePreviousValue": True}
            for one in stack.get("Parameters", ())
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    if follower.follow() != "UPDATE_COMPLETE":
        raise follower.failure("nothing was deleted, because the bucket couldn't be kept:")


def mark_kept(template: dict[str, Any]) -> bool:
    """Write into a template that its data stay; return False if that stands there already."""
    resources = [template["Resources"][one] for one in DATA]
    if all(one.get("DeletionPolicy") == "Retain" for one in resources):
        return False
    for one in resources:
        one["DeletionPolicy"] = "Retain"
        # CloudFormation takes no update that changes a policy and nothing else.
        one["Metadata"] = {"Kept": "with its data, by dask knot down"}
    return True


def _clear_builds(s3: Any, stack: Mapping[str, Any], buckets: list[str]) -> None:
    """Delete what builds of images have left in buckets that stay."""
    said = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    if "Prefix" in said:
        for bucket in buckets:
            empty(s3, bucket, f"{said['Prefix']}/{names.BUILDS}/")


def empty(s3: Any, bucket: str, prefix: str = "") -> int:
    """Delete all objects of a bucket, or under a prefix, with all versions; return how many."""
    count = 0
    try:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            for start in range(0, len(keys), DELETE_AT_ONCE):
                some = {"Objects": keys[start : start + DELETE_AT_ONCE], "Quiet": True}
                errors = s3.delete_objects(Bucket=bucket, Delete=some).get("Errors")
                if errors:
                    raise StackError(_not_deleted(bucket, errors[0]))
            count += len(keys)
    except s3.exceptions.NoSuchBucket:
        pass  # somebody has deleted it: CloudFormation takes that for done
    return count


def _not_deleted(bucket: str, error: Mapping[str, str]) -> str:
    """Say why an object is still there; S3 doesn't say which permission is missing."""
    needed = "; it needs s3:DeleteObject and s3:DeleteObjectVersion (`dask knot policy --operator`)"
    return (
        f"{error.get('Key')!r} in bucket {bucket!r} couldn't be deleted: "
        f"{error.get('Code')}: "
        f"{error.get('Message')}{needed if error.get('Code') == 'AccessDenied' else ''}"
    )


def deregister(batch: Any, name: str) -> int:
    """Deregister the job definitions of a stack, found by name and tag; return how many."""
    prefix, count = names.job_definitions(name), 0
    pages = batch.get_paginator("describe_job_definitions").paginate(status="ACTIVE")
    found = [one for page in pages for one in page["jobDefinitions"]]
    for one in found:
        is_ours = one.get("tags", {}).get(names.TAG) == name
        if is_ours and one["jobDefinitionName"].startswith(prefix):
            batch.deregister_job_definition(jobDefinition=one["jobDefinitionArn"])
            count += 1
    return count
