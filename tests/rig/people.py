"""Somebody with an access key and a policy in the emulated AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from copy import deepcopy
from typing import Any

import boto3

from dask_knot.aws.session import AwsSession
from tests.rig.machine import REGION, Rig


def hire(rig: Rig, name: str, policy: Mapping[str, Any]) -> dict[str, str]:
    """Give a new user a policy; return the variables with which AWS knows who it is."""
    with closing(rig.client("iam")) as iam:
        iam.create_user(UserName=name)
        permit(rig, name, policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def permit(rig: Rig, name: str, policy: Mapping[str, Any]) -> None:
    """Give a user another policy."""
    with closing(rig.client("iam")) as iam:
        iam.put_user_policy(UserName=name, PolicyName="knot", PolicyDocument=json.dumps(policy))


def without(policy: Mapping[str, Any], action: str) -> dict[str, Any]:
    """Take an action away from all statements of a policy."""
    less = deepcopy(dict(policy))
    for statement in less["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != action]
    less["Statement"] = [one for one in less["Statement"] if one["Action"]]
    return less


@contextmanager
def session_of(key: Mapping[str, str]) -> Iterator[AwsSession]:
    """Open a session as somebody."""
    boto = boto3.Session(key["AWS_ACCESS_KEY_ID"], key["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
    with closing(AwsSession(boto)) as session:
        yield session
