"""The image of a stack's jobs in its repository: built and pushed unless somebody has done so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

from dask_knot.aws import registry
from dask_knot.aws.session import AwsSession
from dask_knot.image import builder
from dask_knot.image.image import Report, build_if_missing, make_recipe
from dask_knot.image.spec import ImageSpec


class Home(Protocol):
    """Where an image is pushed, and for which processors: a stack's outputs."""

    @property
    def repository(self) -> str:
        """The repository's URI, without a tag."""

    @property
    def architecture(self) -> str:
        """``amd64`` or ``arm64``."""


def ensure_image(
    session: AwsSession,
    outputs: Home,
    spec: ImageSpec,
    report: Report,
    engine: Callable[[], Any] = builder.open_docker,
) -> str:
    """Give the URI of the image that jobs should have; build and push it if nobody has yet.

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
    if registry.find_image(session, outputs.repository, recipe.tag):
        report(f"{name} is there already")
        return name
    with closing(engine()) as client:
        if not registry.is_ecr(outputs.repository) and _is_elsewhere(client, name):
            report(f"{name} is there already")
            return name
        build_if_missing(client, recipe, name, spec.network, report)
        report(f"pushing {name}")
        builder.push(client, name, registry.login(session, outputs.repository), report)
    return name


def _is_elsewhere(client: Any, name: str) -> bool:
    """Ask a registry that isn't ECR's for an image, with Docker's own login."""
    from docker.errors import APIError

    try:
        client.images.get_registry_data(name)
    except APIError:
        return False
    return True
