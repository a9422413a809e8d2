"""The image of the jobs, named by the hash of all that is in it: built here unless it is here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from dask_knot.environment.credentials import redact
from dask_knot.environment.problems import Report
from dask_knot.environment.requirements import resolve_requirements
from dask_knot.environment.target import Target, this_platform
from dask_knot.image import builder
from dask_knot.image.confidential import with_secrets
from dask_knot.image.dockerfile import Recipe, dockerfile
from dask_knot.image.spec import ImageSpec, resolve_spec
from dask_knot.run import versions
from dask_knot.run.folder import expanded

__all__ = [
    "ImageSpec",
    "ensure_local_image",
    "make_recipe",
    "resolve_spec",
    "show_dockerfile",
]

#: What an image is called that is only for this machine.
LOCAL_NAME = "dask-knot"


def ensure_local_image(
    spec: ImageSpec, report: Report, engine: Callable[[], Any] = builder.connect_to_builder
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
        build_if_missing(client, recipe, name, spec.network, report)
    return name


def show_dockerfile(spec: ImageSpec, report: Report) -> str:
    """Write the Dockerfile of an image, with what its requirements are as comments."""
    recipe = make_recipe(spec, report)
    tell_unreachable(recipe, report)
    copied = sorted((line for layer in recipe.layers for line in layer), key=str.lower)
    listed = "".join(f"#   {line}\n" for line in (*copied, *recipe.requirements))
    return f"# requirements:\n{listed}{dockerfile(recipe)}"


def make_recipe(spec: ImageSpec, report: Report) -> Recipe:
    """Find out all that an image is made of: from what is installed here, without the network.

    Raises
    ------
    ImageError
        If a package can't go into an image.
    """
    source = expanded(spec.source) if spec.source else None
    target = Target(
        spec.platform or this_platform(),
        debian=spec.debian,
        has_own_base=bool(spec.base or spec.dockerfile),
        conda=spec.conda or "",
    )

    def told(line: str) -> None:  # what people wrote may have credentials
        report(type(line)(redact(line, ())))  # a notice stays one

    found = resolve_requirements(spec.packages, source, told, target)
    own = Path(spec.dockerfile) if spec.dockerfile else None
    git = ("git",) if found.needs_git and "git" not in spec.debian else ()
    recipe = Recipe(
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        platform=target.platform,
        base=spec.base,
        text=own.read_text(encoding="utf-8") if own else None,
        debian=(*spec.debian, *git),
        lines=spec.lines,
        requirements=tuple(sorted(found.own.values(), key=str.lower)),
        constraints=found.constraints,
        layers=found.layers,
        conda=found.conda,
        wheels={wheel.name: wheel.content for wheel in found.wheels},
        files=builder.context_files(own.parent) if own else {},
        labels={name: number for name, number in versions.HERE.items() if number},
    )
    # On another machine, this one is as far away with its network as without.
    network = None if spec.remote else spec.network
    return with_secrets(recipe, found.options, network, report)


def tell_unreachable(recipe: Recipe, report: Report) -> None:
    """Say what a build of the image does without."""
    for line in recipe.unreachable:
        report(line)


def build_if_missing(
    client: Any, recipe: Recipe, name: str, network: str | None, report: Report
) -> None:
    """Build an image unless the Docker engine has it."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
        report(f"{name} has been built before")
    except ImageNotFound:
        tell_unreachable(recipe, report)
        report(f"building {name}")
        builder.build(client, recipe, name, network, report)
