"""The engine "docker": jobs are containers of the job image on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dask_knot.batch.request import MIB
from dask_knot.batch.schema import container_faults
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.extras import extra
from dask_knot.image import endpoints
from dask_knot.image.image import ensure_local_image, resolve_spec
from dask_knot.local.amenities import amenities
from dask_knot.local.docker import DockerLauncher, words_of
from dask_knot.local.engine import LocalEngine, grace_of, this_machine
from dask_knot.local.guard import Guard
from dask_knot.local.launcher import Launcher
from dask_knot.run.folder import folder_of
from dask_knot.settings.settings import Settings

with extra():
    from docker.errors import DockerException, ImageNotFound

logger = logging.getLogger(__name__)

#: A busy engine takes its time to answer.
TIMEOUT = 120
#: What each container holds a connection for: its log.
CONNECTIONS = 256


def open_docker(
    settings: Settings, environment: Mapping[str, str], report: Callable[[str], None]
) -> LocalEngine:
    """Connect to the Docker engine, and make sure of an image.

    Raises
    ------
    ConfigurationError
        If Batch knows no containers with what is said.
    EngineError
        If there is no Docker engine, or the image that the settings name isn't there.
    ImageError
        If no image is named, nor has been built, and none can be built here.
    """
    assert settings.docker is not None
    container = settings.docker.container
    if faults := list(container_faults(container)):
        raise ConfigurationError("container: " + "; ".join(faults))
    if unmet := amenities(container).unmet:
        logger.warning("container: only AWS has %s; engine 'docker' goes without", ", ".join(unmet))
    client = connect()
    image = settings.docker.image or ensure_local_image(resolve_spec({}), report)
    check_image(client, image)
    machine = replace(this_machine(), memory=machine_memory(client) // MIB)

    def launch(logs: Path, store_url: str) -> Launcher:
        folder = folder_of(store_url)
        folders = [] if folder is None else [folder]
        grace = grace_of(settings)
        more = amenities(container, folders)
        return DockerLauncher(client, image, more, environment, Guard(grace), grace)

    return LocalEngine(settings, launch, image, machine)


def connect() -> Any:
    """Connect to the Docker engine.

    Raises
    ------
    EngineError
        If there is none; the message says what else can be done.
    """
    try:
        return endpoints.connect(timeout=TIMEOUT, max_pool_size=CONNECTIONS)
    except EngineError as error:
        raise EngineError(
            f"engine='docker' needs a Docker engine, and {error}. Start one, set "
            "DOCKER_HOST, or use engine='local', which doesn't need it"
        ) from None


def check_image(client: Any, image: str) -> None:
    """Make sure that an image is here.

    Raises
    ------
    EngineError
        If it isn't; the message says how to get it.
    """
    try:
        client.images.get(image)
    except ImageNotFound:
        raise EngineError(
            f"the image {image!r} is not on this machine: `docker pull {image}`, or leave out "
            "image= to use the one that `dask knot image` builds"
        ) from None  # its own chain of three exceptions says no more
    except DockerException as error:
        raise EngineError(
            f"the Docker engine can't be asked for images: {words_of(error)}"
        ) from error


def machine_memory(client: Any) -> int:
    """Give the bytes of memory that containers may have: the engine may be in a virtual machine.

    Raises
    ------
    EngineError
        If it can't be asked.
    """
    try:
        return int(client.info()["MemTotal"])
    except DockerException as error:
        raise EngineError(f"the Docker engine can't be asked: {words_of(error)}") from error
