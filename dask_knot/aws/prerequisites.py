"""Resources that a stack is to use, not make: they must be there, and in the region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from dask_knot.aws.session import REFUSALS, AwsSession, code_of, translate
from dask_knot.errors import AccessError, ConfigurationError

if TYPE_CHECKING:
    from dask_knot.aws.options import StackOptions

#: How AWS says that something isn't there.
MISSING = (
    *("404", "NoSuchBucket", "NoSuchEntity", "NotFoundException", "RepositoryNotFoundException"),
    *("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"),
    *("InvalidLaunchTemplateId.VersionNotFound", "InvalidLaunchTemplateVersion.NotFound"),
    *("InvalidLaunchTemplateId.Malformed", "InvalidPlacementGroup.Unknown"),
)


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
    for option, key in (("encryption", options.kms_key), ("volume_key", options.volume_key)):
        if key is not None:
            yield partial(_check_key, session, option, key)
    for option in LOOKED_UP:
        if (value := getattr(options, option)) is not None:
            yield partial(_look_up, session, option, value)


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
                f"there is no bucket {bucket}: create it, or leave it out to use the stack's own"
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
            f"there is no job queue {queue!r} in {session.region}: name an existing one, or "
            "leave out existing_queue to create one"
        )


def _role(session: AwsSession, arn: str) -> Any:
    return session.client("iam").get_role(RoleName=arn.rpartition("/")[2])


def _profile(session: AwsSession, arn: str) -> Any:
    return session.client("iam").get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])


def _boundary(session: AwsSession, arn: str) -> Any:
    return session.client("iam").get_policy(PolicyArn=arn)


def _repository(session: AwsSession, name: str) -> Any:
    return session.client("ecr").describe_repositories(repositoryNames=[name])


def _launch_template(session: AwsSession, text: str) -> Any:
    id, _, version = text.partition(":")
    versions = [version or "$Default"]
    return session.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=id, Versions=versions
    )


def _placement_group(session: AwsSession, name: str) -> Any:
    return session.client("ec2").describe_placement_groups(GroupNames=[name])


#: By option: what it is called, and the call that doesn't find it.
LOOKED_UP: dict[str, tuple[str, Callable[[AwsSession, str], Any]]] = {
    "existing_job_role": ("role", _role),
    "existing_execution_role": ("role", _role),
    "existing_instance_profile": ("instance profile", _profile),
    "existing_repository": ("repository", _repository),
    "existing_launch_template": ("launch template", _launch_template),
    "permissions_boundary": ("policy", _boundary),
    "placement_group": ("placement group", _placement_group),
}


def _look_up(session: AwsSession, option: str, value: str) -> None:
    what, call = LOOKED_UP[option]
    try:
        call(session, value)
    except REFUSALS as error:
        if code_of(error) not in MISSING:
            raise
        raise ConfigurationError(
            f"there is no {what} {value} in {session.region}: name an existing one, or leave "
            f"out {option}"
        ) from error


def _check_key(session: AwsSession, option: str, arn: str) -> None:
    if (region := arn.split(":")[3]) != session.region:
        raise ConfigurationError(
            f"the KMS key {arn} is in {region}, and the stack is in {session.region}: "
            f"{option} needs a key in the stack's region"
        )
    try:
        state = session.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    except REFUSALS as error:
        if code_of(error) not in MISSING:
            raise
        raise ConfigurationError(
            f"there is no KMS key {arn}: name an existing one, or leave out {option}"
        ) from error
    if state != "Enabled":
        raise ConfigurationError(
            f"the KMS key {arn} is {state} and can't encrypt: enable it, or name another"
        )
