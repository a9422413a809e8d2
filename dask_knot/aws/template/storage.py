"""The storage of a stack: the bucket, the repository of images, the group of logs."""

from __future__ import annotations

import json
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.options import StackOptions
from dask_knot.aws.template.words import Resource, attribute, document, ref, sub, tag_list


def storage(options: StackOptions) -> dict[str, Resource]:
    """Make what keeps data, images and logs."""
    resources = {"LogGroup": _log_group(options)}
    if options.existing_repository is None:
        resources["Repository"] = _repository(options)
    if options.existing_bucket is None:
        resources |= {"Bucket": _bucket(options), "BucketPolicy": _tls_only()}
    return resources


def _bucket(options: StackOptions) -> Resource:
    properties: dict[str, Any] = {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [_encryption(options)]},
        "LifecycleConfiguration": {"Rules": _expiry(options)},
        "Tags": tag_list(options),
    }
    if options.bucket is not None:
        properties["BucketName"] = options.bucket
    # Deleted with its stack, which `down` makes possible by emptying it, or changes to Retain.
    return {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _encryption(options: StackOptions) -> dict[str, Any]:
    if options.kms_key is None:
        return {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": options.kms_key}
    # A bucket key spares one paid call of KMS for each object.
    return {"ServerSideEncryptionByDefault": rule, "BucketKeyEnabled": True}


def _expiry(options: StackOptions) -> list[dict[str, Any]]:
    all_objects = {
        "Id": "expire",
        "Status": "Enabled",
        "Prefix": f"{options.prefix}/",
        "ExpirationInDays": options.expiry_days,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    # Builds delete what they are made from; what a client left before its build began is no use.
    builds = {
        "Id": "builds",
        "Status": "Enabled",
        "Prefix": f"{options.prefix}/{names.BUILDS}/",
        "ExpirationInDays": 1,
    }
    return [all_objects, builds] if options.remote_build else [all_objects]


def _tls_only() -> Resource:
    arn = attribute("Bucket", "Arn")
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, sub("${Arn}/*", Arn=arn)],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": ref("Bucket"), "PolicyDocument": document([statement])},
    }


def _repository(options: StackOptions) -> Resource:
    rule = {
        "rulePriority": 1,
        "description": "Keep the newest images",
        "selection": {
            "tagStatus": "any",
            "countType": "imageCountMoreThan",
            "countNumber": options.images,
        },
        "action": {"type": "expire"},
    }
    return {
        "Type": "AWS::ECR::Repository",
        "Properties": {
            "RepositoryName": options.repository or options.name,
            "EmptyOnDelete": True,
            "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [rule]})},
            "Tags": tag_list(options),
        },
    }


def _log_group(options: StackOptions) -> Resource:
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": names.log_group(options.name),
            "RetentionInDays": options.log_days,
            "Tags": tag_list(options),
        },
    }


def repository_uri(options: StackOptions) -> Resource:
    """Refer to the repository, made or there already."""
    if options.existing_repository is None:
        return attribute("Repository", "RepositoryUri")
    registry = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}"
    return sub(f"{registry}/{options.existing_repository}")
