"""The CloudFormation template of a stack: pure, options in, template out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.builds import builds
from dask_knot.aws.template.compute import compute
from dask_knot.aws.template.network import network
from dask_knot.aws.template.roles import execution_role, job_role, roles
from dask_knot.aws.template.storage import repository_uri, storage
from dask_knot.aws.template.words import Resource, ref, tag_parameters
from dask_knot.errors import ConfigurationError

__all__ = ["dumped", "make_template", "write_template"]

#: CloudFormation takes a template of so many bytes in a request.
MOST_BYTES = 51_200
#: What `down --keep-data` may add.
ADDED = 512


def make_template(options: StackOptions) -> dict[str, Any]:
    """Make the template of everything that `dask knot up` makes.

    What only AWS knows is a parameter of the template: ``Vpc`` and ``Subnets`` where the stack
    makes no VPC, and ``ServiceRole``, the account's service-linked role of Batch. Values of tags
    are parameters, too (`words.tag_parameters`).

    Parameters
    ----------
    options : StackOptions
        What the user chose.

    Returns
    -------
    dict
        The template, ready for ``json.dumps``.
    """
    has_queue = options.existing_queue is None
    resources = {**storage(options), **roles(options), **builds(options)}
    if has_queue:
        resources |= {**network(options), **compute(options)}
    template: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"dask_knot {options.name}: AWS Batch for Dask",
        "Resources": resources,
        "Outputs": _outputs(options),
    }
    if has_queue:
        template["Parameters"] = _parameters(options)
    return template


def write_template(options: StackOptions) -> str:
    """Write the template as CloudFormation gets it: short, since what is longer it doesn't take.

    Raises
    ------
    ConfigurationError
        If it is too long, which only user data and tags that are both long make it.
    """
    text = dumped(make_template(options))
    if (size := len(text.encode())) > MOST_BYTES - ADDED:
        raise ConfigurationError(
            f"these options make a template of {size:,} bytes, and CloudFormation takes "
            f"{MOST_BYTES:,}, of which `dask knot down` needs {ADDED}: give fewer or shorter "
            "tags, or shorter user data"
        )
    return text


def dumped(template: Mapping[str, Any]) -> str:
    """Write a template without blanks, which count as bytes."""
    # Letters of other languages as they are: escaped they take three times as many.
    return json.dumps(template, separators=(",", ":"), ensure_ascii=False)


def _parameters(options: StackOptions) -> dict[str, Any]:
    parameters = {"ServiceRole": {"Type": "String"}}
    if options.vpc != "new":
        parameters["Subnets"] = {"Type": "List<AWS::EC2::Subnet::Id>"}
        if not options.security_groups:
            parameters["Vpc"] = {"Type": "AWS::EC2::VPC::Id"}
    return {**parameters, **{name: {"Type": "String"} for name in tag_parameters(options)}}


def _outputs(options: StackOptions) -> dict[str, Resource]:
    """Make the outputs; `dask_knot.aws.outputs` reads them."""
    is_made = options.existing_queue is None
    values = {
        "Bucket": options.existing_bucket or ref("Bucket"),
        "Prefix": options.prefix,
        "Repository": repository_uri(options),
        "Queue": ref("Queue") if is_made else options.existing_queue,
        "ComputeEnvironment": ref("ComputeEnvironment") if is_made else None,
        "JobRole": job_role(options),
        "ExecutionRole": execution_role(options),
        "LogGroup": ref("LogGroup"),
        "Platform": options.platform,
        "Architecture": options.architecture,
        "Gpu": str(options.gpu).lower(),
        "PublicIp": str(options.public_ip).lower(),
        "KmsKey": options.kms_key,
        "Shell": "true" if options.shell else None,
        "Builder": ref("Builder") if options.remote_build else None,
    }
    return {name: {"Value": value} for name, value in values.items() if value is not None}
