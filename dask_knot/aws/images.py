"""The images of a stack's jobs in its repository: which there are, and the one that is missing.

`ensure_image` builds and pushes unless somebody has done so: the tag of an image is the hash of all
that goes into it, so that an image of that name is the right one, whoever pushed it. Two who build
it at once push the same twice. A repository need not be ECR's: others are reached with Docker's own
login.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

from dask_knot.aws.buildobjects import Workshop
from dask_knot.aws.builds import BuildOrder, build_in_account
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import REFUSALS, AwsSession, code_of, translate, translated
from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError, MissingExtraError
from dask_knot.image import builder
from dask_knot.image.image import build_if_missing, make_recipe, tell_unreachable
from dask_knot.image.spec import ImageSpec

ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[\w-]+)\.[\w.]+/(?P<name>[^:@]+)"
)
#: The labels that job images have begin so.
LABEL = "dask-knot."
#: One image for one platform; an index of several has no labels.
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
#: Seconds until a small download is given up.
PATIENCE = 10


class Destination(Workshop, Protocol):
    """The repository of a stack, the processors that its images are for, and what builds them."""

    @property
    def repository(self) -> str:
        """The repository's URI, without a tag."""

    @property
    def architecture(self) -> str:
        """``amd64`` or ``arm64``."""


def ensure_image(
    session: AwsSession,
    outputs: Destination,
    spec: ImageSpec,
    report: Report,
    engine: Callable[[], Any] = builder.connect_to_builder,
) -> str:
    """Give the URI of the image that jobs should have; build and push it if nobody has yet.

    It is built with the Docker engine here, or in the account if the specification says so. Where
    it doesn't say, it is built in the account if no Docker engine answers here.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    outputs : StackOutputs
        The stack: its repository, and the architecture of its compute environment.
    spec : ImageSpec
        What the image should have; its platform is the stack's.
    report : callable
        Told what is done, in lines.
    engine : callable
        Connects to a Docker engine; called only if one is needed.

    Returns
    -------
    str
        The image, with its tag.

    Raises
    ------
    ImageError
        If it can't be built or pushed, or there is no Docker engine to do it.
    AwsError
        If AWS refuses.
    """
    if spec.image:
        return spec.image
    recipe = make_recipe(replace(spec, platform=f"linux/{outputs.architecture}"), report)
    name = f"{outputs.repository}:{recipe.tag}"
    if find_image(session, outputs.repository, recipe.tag):
        report(f"{name} already exists")
        return name
    client = None if spec.remote else _engine_here(engine, spec, outputs, report)
    if client is None:
        tell_unreachable(recipe, report)
        build_in_account(session, outputs, BuildOrder(recipe, name, spec.network), report)
        return name
    with closing(client):
        if not is_ecr(outputs.repository) and _is_elsewhere(client, name):
            report(f"{name} already exists")
            return name
        build_if_missing(client, recipe, name, spec.network, report)
        report(f"pushing {name}")
        builder.push(client, name, login(session, outputs.repository), report)
    return name


def _engine_here(
    engine: Callable[[], Any], spec: ImageSpec, outputs: Destination, report: Report
) -> Any:
    """Connect to the Docker engine; None if there is none, and the account can do its work."""
    try:
        return engine()
    except (ImageError, MissingExtraError) as error:
        if spec.remote is False or outputs.builder is None:
            raise
        # What isn't there says nothing; what is there and doesn't work can be mended.
        said = str(error.__context__ or "").partition("none answers: ")[2]
        why = said.partition("No such file: ")[0].removesuffix("; ")
        shown = f" ({why})" if why else ""
        report(f"no Docker engine here{shown}: building the image in your AWS account")
        return None


def _is_elsewhere(client: Any, name: str) -> bool:
    """Ask a registry that isn't ECR's for an image, with Docker's own login."""
    from docker.errors import APIError

    try:
        client.images.get_registry_data(name)
    except APIError:
        return False
    return True


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


def newest_image(ecr: Any, outputs: StackOutputs) -> Mapping[str, Any] | None:
    """Give what ECR says of the image that was pushed last; None if there is none."""
    repository = outputs.repository.partition("/")[2]
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repository, filter={"tagStatus": "TAGGED"}
    )
    images = [one for page in pages for one in page["imageDetails"]]
    return max(images, key=lambda one: one["imagePushedAt"], default=None)


def image_versions(ecr: Any, outputs: StackOutputs, digest: str) -> dict[str, str]:
    """Read the versions from the labels of an image, without pulling it.

    Parameters
    ----------
    ecr : Any
        boto3's ECR client.
    outputs : StackOutputs
        The stack whose repository has the image.
    digest : str
        The image's.

    Returns
    -------
    dict
        By package, and for ``python``; empty if the image doesn't say.
    """
    repository = outputs.repository.partition("/")[2]
    images = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[{"imageDigest": digest}],
        acceptedMediaTypes=list(MANIFESTS),
    )["images"]
    manifest = json.loads(images[0]["imageManifest"]) if images else {}
    if "config" not in manifest:
        return {}
    url = ecr.get_download_url_for_layer(
        repositoryName=repository, layerDigest=manifest["config"]["digest"]
    )["downloadUrl"]
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            labels = json.load(answer).get("config", {}).get("Labels") or {}
    except OSError:  # S3 doesn't answer
        return {}
    return {
        name.removeprefix(LABEL): str(version)
        for name, version in labels.items()
        if name.startswith(LABEL)
    }
