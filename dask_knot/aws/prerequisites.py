"""Resources that a stack shall use and not make: they must be there, and in the region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dask_knot.aws.session import REFUSALS, AwsSession, code_of, translate
from dask_knot.errors import AccessError, ConfigurationError

if TYPE_CHECKING:
    from dask_knot.aws.options import StackOptions

#: How AWS says that something isn't there.
MISSING = ("404", "NoSuchBucket", "NoSuchEntity", "NotFoundException")


def check_existing(session: AwsSession, options: StackOptions) -> None:
    """Refuse a bucket, queue, role or key that can't be used; else the first job would find out.

    Whoever may not look at something is believed that it is there.

    Raises
    ------
    ConfigurationError
        If something isn't there, is elsewhere, or can't be used.
    AwsError
        If AWS doesn't answer.
    """
    for check in _checks(session, options):
        try:
            check()
        except REFUSALS as error:
            refused = translate(error)
            if not isinstance(refused, AccessError):
                raise refused from error


def _checks(session: AwsSession, options: StackOptions) -> Iterator[Callable[[], object]]:
    if (bucket := options.existing_bucket) is not None:
        yield lambda: _check_bucket(session, bucket)
    if (queue := options.existing_queue) is not None:
        yield lambda: _check_queue(session, queue)
    if (role := options.existing_job_role) is not None:
        yield lambda: _check_role(session, role)
    if (key := options.kms_key) is not None:
        yield lambda: _check_key(session, key)


def bucket_region(s3: Any, bucket: str) -> str | None:
    """Tell where a bucket is; S3 says so even to those who may not use it.

    Raises
    ------
    ConfigurationError
        If there is no such bucket.
    """
    try:
        response: Any = s3.head_bucket(Bucket=bucket)
    except REFUSALS as error:
        if code_of(error) in MISSING:
            raise ConfigurationError(
                f"there is no bucket {bucket}: make it, or leave it out to use the stack's own"
            ) from error
        response = getattr(error, "response", None)
        if response is None or not code_of(error):
            raise translate(error) from error
    region = response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    return None if region is None else str(region)


def check_bucket_region(s3: Any, bucket: str, region: str) -> None:
    """Raise ConfigurationError for a bucket that isn't there, or is far from the jobs."""
    found = bucket_region(s3, bucket)
    if found not in (None, region):
        raise ConfigurationError(
            f"the bucket {bucket} is in {found}, and the jobs are in {region}: use a bucket there, "
            f"or a stack in {found}"
        )


def _check_bucket(session: AwsSession, bucket: str) -> None:
    check_bucket_region(session.client("s3"), bucket, session.region)


def _check_queue(session: AwsSession, queue: str) -> None:
    if not session.client("batch").describe_job_queues(jobQueues=[queue])["jobQueues"]:
        raise ConfigurationError(
            f"there is no job queue {queue!r} in {session.region}: name one that is there, or "
            "leave out existing_queue to make one"
        )


def _check_role(session: AwsSession, arn: str) -> None:
    try:
        session.client("iam").get_role(RoleName=arn.rpartition("/")[2])
    except REFUSALS as error:
        if code_of(error) not in MISSING:
            raise
        raise ConfigurationError(
            f"there is no role {arn}: name one that is there, or leave out existing_job_role to "
            "make one"
        ) from error


def _check_key(session: AwsSession, arn: str) -> None:
    if (region := arn.split(":")[3]) != session.region:
        raise ConfigurationError(
            f"the KMS key {arn} is in {region}, and the stack is in {session.region}: S3 takes "
            "keys of the bucket's own region only"
        )
    try:
        state = session.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    except REFUSALS as error:
        if code_of(error) not in MISSING:
            raise
        raise ConfigurationError(
            f"there is no KMS key {arn}: name one that is there, or leave out encryption"
        ) from error
    if state != "Enabled":
        raise ConfigurationError(
            f"the KMS key {arn} is {state} and encrypts nothing: enable it, or name another"
        )
