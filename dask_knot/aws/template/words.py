"""The words of templates: references, tags, and policies of roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def tag_list(options: StackOptions, **more: str) -> list[dict[str, str]]:
    """Give the tags as most resources take them."""
    tags = {**options.all_tags, **more}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def bucket_arn(options: StackOptions) -> Resource:
    """Refer to the bucket, made or there already."""
    if options.existing_bucket is None:
        return attribute("Bucket", "Arn")
    return sub(f"arn:${{AWS::Partition}}:s3:::{options.existing_bucket}")


def repository_arn(options: StackOptions) -> Resource:
    """Refer to the repository of job images."""
    return attribute("Repository", "Arn")


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
