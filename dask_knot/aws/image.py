"""The image of the jobs: built and pushed when it isn't there yet, by the hash of all it has."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dask_knot.aws import builder, registry
from dask_knot.aws.dockerfile import Recipe, dockerfile
from dask_knot.aws.requirements import resolve_requirements
from dask_knot.aws.session import Session
from dask_knot.aws.spec import ImageSpec, resolve_spec
from dask_knot.home import expanded
from dask_knot.running import versions

__all__ = [
    "ImageSpec",
    "ensure_image",
    "ensure_local_image",
    "make_recipe",
    "resolve_spec",
    "show_dockerfile",
]

Report = Callable[[str], None]
#: What an image is called that is only for this machine.
LOCAL_NAME = "dask-knot"


class Home(Protocol):
    """Where an image is pushed, and for which processors: a stack's outputs."""

    @property
    def repository(self) -> str:
        """The repository's URI, without a tag."""

    @property
    def architecture(self) -> str:
        """``amd64`` or ``arm64``."""


def ensure_image(
    session: Session,
    outputs: Home,
    spec: ImageSpec,
    report: Report,
    engine: Callable[[], Any] = builder.open_docker,
) -> str:
    """Give the URI of the image that jobs should have; build and push it if nobody has yet.

    Parameters
    ----------
    session : Session
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
        _build_if_missing(client, recipe, name, spec.network, report)
        report(f"pushing {name}")
        builder.push(client, name, registry.login(session, outputs.repository), report)
    return name


def ensure_local_image(
    spec: ImageSpec, report: Report, engine: Callable[[], Any] = builder.open_docker
) -> str:
    """Give the name of the image on this machine; build it if it isn't here. Nothing is pushed.

    Raises
    ------
    ImageError
        If it can't be built, or there is no Docker engine.
    """
    if spec.image:
        return spec.image
    recipe = make_recipe(spec, report)
    name = f"{LOCAL_NAME}:{recipe.tag}"
    with closing(engine()) as client:
        _build_if_missing(client, recipe, name, spec.network, report)
    return name


def show_dockerfile(spec: ImageSpec, report: Report) -> str:
    """Write the Dockerfile of an image, with what its requirements are as comments."""
    recipe = make_recipe(spec, report)
    listed = "".join(f"#   {line}\n" for line in recipe.requirements)
    return f"# requirements.txt:\n{listed}{dockerfile(recipe)}"


def make_recipe(spec: ImageSpec, report: Report) -> Recipe:
    """Find out all that an image is made of: from what is installed here, without the network.

    Raises
    ------
    ImageError
        If a package can't go into an image.
    """
    source = expanded(spec.source) if spec.source else None
    found = resolve_requirements(spec.packages, source, report)
    own = Path(spec.dockerfile) if spec.dockerfile else None
    git = ("git",) if found.needs_git and "git" not in spec.debian else ()
    return Recipe(
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        platform=spec.platform or _this_platform(),
        base=spec.base,
        text=own.read_text(encoding="utf-8") if own else None,
        debian=(*spec.debian, *git),
        lines=spec.lines,
        requirements=tuple(sorted(found.lines.values(), key=str.lower)),
        constraints=found.constraints,
        layers=found.layers,
        wheels={wheel.name: wheel.content for wheel in found.wheels},
        files=builder.context_files(own.parent) if own else {},
        labels={name: number for name, number in versions.HERE.items() if number},
    )


def _this_platform() -> str:
    is_arm = platform.machine().lower() in ("arm64", "aarch64")
    return "linux/arm64" if is_arm else "linux/amd64"


def _build_if_missing(
    client: Any, recipe: Recipe, name: str, network: str | None, report: Report
) -> None:
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
        report(f"{name} is built already")
    except ImageNotFound:
        report(f"building {name}")
        builder.build(client, recipe, name, network, report)


def _is_elsewhere(client: Any, name: str) -> bool:
    """Ask a registry that isn't ECR's for an image, with Docker's own login."""
    from docker.errors import APIError

    try:
        client.images.get_registry_data(name)
    except APIError:
        return False
    return True
