"""The project that builds images in the account, for those who have no Docker engine.

An idle project costs nothing. It takes what it is to build from the one folder of the bucket where
clients put it, and pushes to the one repository; its log is a stream of the stack's own group.
"""

from __future__ import annotations

import json
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.roles import PULL, log_streams_arn, role
from dask_knot.aws.template.words import (
    Resource,
    allow,
    attribute,
    bucket_arn,
    ref,
    repository_arn,
    sub,
    tag_list,
)

#: Kind and image of the machine, by the processors that the stack's images are for.
MACHINES = {
    "amd64": ("LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:5.0"),
    "arm64": ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:3.0"),
}
#: Minutes that a build may take, and wait for a machine. One that hangs must not cost for hours.
LONGEST, LONGEST_WAIT = 120, 60
#: The first words of the streams of the builds' logs.
STREAMS = "builds"
#: The object that a build is made from: all that differs between builds is in it.
SOURCE = "KNOT_SOURCE"
COMMAND = f'aws s3 cp --quiet "s3://${SOURCE}.tar" - | tar xz && sh ./build.sh'
PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def builds(options: StackOptions) -> dict[str, Resource]:
    """Make the project and its role, unless the stack is to have none."""
    if not options.remote_build:
        return {}
    return {"BuildRole": _build_role(options), "Builder": _project(options)}


def _build_role(options: StackOptions) -> Resource:
    """Let builds read and delete what they are made from, pull, push to our repository, and log."""
    sources = sub(
        f"${{Arn}}/{options.prefix}/{names.BUILDS}/*",
        Arn=bucket_arn(options),
    )
    statements = [
        allow(["s3:GetObject", "s3:DeleteObject"], sources),
        allow(["ecr:GetAuthorizationToken"], "*"),
        # Any repository: an image may start from one that is there already.
        allow(PULL, sub("arn:${AWS::Partition}:ecr:*:*:repository/*")),
        allow(PUSH, repository_arn(options)),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], log_streams_arn(f"{STREAMS}/*")),
    ]
    if options.kms_key is not None:
        statements.append(allow(["kms:Decrypt"], options.kms_key))
    return role(options, "codebuild", statements)


def _project(options: StackOptions) -> Resource:
    kind, image = MACHINES[options.architecture]
    buildspec = {"version": 0.2, "phases": {"build": {"commands": [COMMAND]}}}
    properties: dict[str, Any] = {
        "Name": names.builder(options.name),
        "Description": f"Builds images of {options.name}: dask knot image --remote",
        "ServiceRole": attribute("BuildRole", "Arn"),
        "Source": {"Type": "NO_SOURCE", "BuildSpec": json.dumps(buildspec)},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {
            "Type": kind,
            "Image": image,
            "ComputeType": "BUILD_GENERAL1_SMALL",
            # Docker runs in the build's own container.
            "PrivilegedMode": True,
        },
        "LogsConfig": {
            "CloudWatchLogs": {
                "Status": "ENABLED",
                "GroupName": ref("LogGroup"),
                "StreamName": STREAMS,
            }
        },
        "TimeoutInMinutes": LONGEST,
        "QueuedTimeoutInMinutes": LONGEST_WAIT,
        "Tags": tag_list(options),
    }
    return {"Type": "AWS::CodeBuild::Project", "Properties": properties}
