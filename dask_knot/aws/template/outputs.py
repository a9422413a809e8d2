"""What a stack tells those who use it: all that the engine needs to run jobs."""

from __future__ import annotations

from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.roles import job_role
from dask_knot.aws.template.words import Resource, attribute, ref


def outputs(options: StackOptions) -> dict[str, Resource]:
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
    }
    return {name: {"Value": value} for name, value in values.items() if value is not None}
