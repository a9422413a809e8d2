"""The CloudFormation template of a stack: pure, options in, template out."""

from __future__ import annotations

from typing import Any

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.builds import builds
from dask_knot.aws.template.compute import compute
from dask_knot.aws.template.network import network
from dask_knot.aws.template.roles import job_role, roles
from dask_knot.aws.template.storage import storage
from dask_knot.aws.template.words import Resource, attribute, ref

__all__ = ["make_template"]


def make_template(options: StackOptions) -> dict[str, Any]:
    """Make the template of everything that `dask knot up` makes.

    What only AWS knows is a parameter of the template: ``Vpc`` and ``Subnets`` where the stack
    makes no VPC, and ``ServiceRole``, the account's service-linked role of Batch.

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


def _parameters(options: StackOptions) -> dict[str, Any]:
    parameters = {"ServiceRole": {"Type": "String"}}
    if options.vpc != "new":
        parameters["Subnets"] = {"Type": "List<AWS::EC2::Subnet::Id>"}
        if not options.security_groups:
            parameters["Vpc"] = {"Type": "AWS::EC2::VPC::Id"}
    return parameters


def _outputs(options: StackOptions) -> dict[str, Resource]:
    """Make the outputs; `dask_knot.aws.outputs` reads them."""
    is_made = options.existing_queue is None
    values = {
        "Bucket": options.existing_bucket or ref("Bucket"),
        "Prefix": options.prefix,
        "Repository": attribute("Repository", "RepositoryUri"),
        "Queue": ref("Queue") if is_made else options.existing_queue,
        "ComputeEnvironment": ref("ComputeEnvironment") if is_made else None,
        "JobRole": job_role(options),
        "ExecutionRole": attribute("ExecutionRole", "Arn"),
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
