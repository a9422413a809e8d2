"""What is in the repository of the jobs' images, and the login to push there."""

from __future__ import annotations

import base64
import re
from typing import Any

from dask_knot.aws.session import REFUSALS, AwsSession, code_of, translate, translated
from dask_knot.errors import ImageError

ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[\w-]+)\.[\w.]+/(?P<name>[^:@]+)"
)


def is_ecr(repository: str) -> bool:
    """Tell whether a repository is one of ECR's; others are reached with Docker's own login."""
    return ECR.fullmatch(repository) is not None


def find_image(session: AwsSession, repository: str, tag: str) -> dict[str, Any] | None:
    """Look for an image in ECR.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    repository : str
        The repository's URI.
    tag : str
        The image's tag.

    Returns
    -------
    dict or None
        What ECR says of it; None if there is no such image.

    Raises
    ------
    ImageError
        If the repository doesn't exist.
    AwsError
        If AWS refuses.
    """
    match = ECR.fullmatch(repository)
    if match is None:
        return None
    try:
        answer = session.client("ecr").describe_images(
            registryId=match["account"], repositoryName=match["name"], imageIds=[{"imageTag": tag}]
        )
    except REFUSALS as error:
        code = code_of(error)
        if code == "ImageNotFoundException":
            return None
        if code == "RepositoryNotFoundException":
            raise ImageError(
                f"the repository {repository} doesn't exist: run `dask knot up` to make it again"
            ) from error
        raise translate(error) from error
    details: list[dict[str, Any]] = answer["imageDetails"]
    return details[0] if details else None


def login(session: AwsSession, repository: str) -> dict[str, str] | None:
    """Get a login for a repository of ECR, good for 12 hours; it is never written anywhere.

    Raises
    ------
    AwsError
        If AWS refuses.
    """
    if not is_ecr(repository):
        return None
    with translated():
        answer = session.client("ecr").get_authorization_token()
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    username, _, password = token.partition(":")
    return {"username": username, "password": password}
