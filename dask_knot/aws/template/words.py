"""The words of templates: references, tags, and policies of roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions

Resource = dict[str, Any]
Statement = dict[str, Any]


def ref(name: str) -> Resource:
    """Refer to a resource or parameter."""
    return {"Ref": name}


def attribute(name: str, what: str) -> Resource:
    """Refer to an attribute of a resource."""
    return {"Fn::GetAtt": [name, what]}


def sub(text: str, **values: object) -> Resource:
    """Fill ``${names}`` in a text; `values` are those that aren't resources or parameters."""
    return {"Fn::Sub": [text, values]} if values else {"Fn::Sub": text}


def tags(options: StackOptions, **more: str) -> dict[str, str]:
    """Give the tags that must stand at a resource; CloudFormation gives it the stack's as well.

    Policies ask for ours, so it doesn't depend on that. The others of the user's, 45 and long,
    would fill the template if each resource had them.
    """
    return {names.TAG: options.name, **more}


def tag_list(options: StackOptions, **more: str) -> list[dict[str, object]]:
    """Give them as most resources take them."""
    return listed_tags(tags(options, **more))


def tag_parameters(options: StackOptions) -> dict[str, str]:
    """Give the values of the tags of instances and disks, by the parameters that stand for them.

    They stand in the template several times, and may fill all of what CloudFormation takes.
    """
    if options.family != "ec2" or options.existing_queue is not None:
        return {}
    values = [value for key, value in options.all_tags.items() if key != names.TAG]
    return {f"Tag{number}": value for number, value in enumerate(values)}


def all_tags(options: StackOptions) -> dict[str, object]:
    """Give all tags, for what Batch and EC2 start: CloudFormation gives it none."""
    keys = [key for key in options.all_tags if key != names.TAG]
    return {**{key: ref(f"Tag{number}") for number, key in enumerate(keys)}, **tags(options)}


def listed_tags(given: Mapping[str, object]) -> list[dict[str, object]]:
    """Write tags as a list."""
    return [{"Key": key, "Value": value} for key, value in given.items()]


def bucket_arn(options: StackOptions) -> Resource:
    """Refer to the bucket, made or there already."""
    if options.existing_bucket is None:
        return attribute("Bucket", "Arn")
    return sub(f"arn:${{AWS::Partition}}:s3:::{options.existing_bucket}")


def repository_arn(options: StackOptions) -> Resource:
    """Refer to the repository of job images, made or there already."""
    if options.existing_repository is None:
        return attribute("Repository", "Arn")
    place = "${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}"
    return sub(f"arn:{place}:repository/{options.existing_repository}")


def objects_arn(options: StackOptions) -> Resource:
    """Refer to all objects under the prefix."""
    return sub("${Arn}/" + options.prefix + "/*", Arn=bucket_arn(options))


def allow(actions: Sequence[str], resource: object, condition: object = None) -> Statement:
    """Allow actions on a resource."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """Make a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
