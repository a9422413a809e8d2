"""Builds and pushes with a Docker engine: progress as it comes, and the line that failed."""

from __future__ import annotations

import io
import logging
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask_knot.environment.problems import Report
from dask_knot.errors import EngineError, ImageError
from dask_knot.extras import extra
from dask_knot.image import buildkit
from dask_knot.image.dockerfile import FOLDER, Recipe, dockerfile
from dask_knot.image.endpoints import connect
from dask_knot.image.logins import notes
from dask_knot.image.progress import Tenths, follow_answers, shortened
from dask_knot.image.syntax import Demand, demands, platform_arguments

WITHOUT_DOCKER = (
    "Start Docker (or set DOCKER_HOST), or build in the AWS account, for jobs there (`dask "
    "knot image --remote`), or run `dask knot image` on another machine that has it and the "
    "same versions, or use an image that already exists: KnotCluster(image=...), "
    "knot.aws.image"
)


def connect_to_builder() -> Any:
    """Connect to the Docker engine that builds images; close the client after use.

    Raises
    ------
    ImageError
        If there is none; the message names the alternatives.
    """
    try:
        return connect(timeout=600)
    except EngineError as error:
        raise ImageError(
            f"building the job image needs a Docker engine, but {error}. {WITHOUT_DOCKER}"
        ) from None  # its own chain of three libraries says no more


def context_files(folder: Path) -> dict[str, bytes]:
    """Read the context of an own Dockerfile, without what its ``.dockerignore`` names."""
    with extra():
        from docker.utils.build import exclude_paths

    ignore = folder / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.exists() else []
    patterns = [line.strip() for line in patterns if line.strip() and line.strip()[0] != "#"]
    names = sorted(exclude_paths(str(folder), patterns))
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def build(client: Any, recipe: Recipe, name: str, network: str | None, report: Report) -> None:
    """Build an image.

    Parameters
    ----------
    client : docker.DockerClient
        The engine.
    recipe : Recipe
        What goes in.
    name : str
        The image's name and tag.
    network : str, optional
        The network of the build.
    report : callable
        Told each step.

    Raises
    ------
    ImageError
        If a line of the Dockerfile fails: it is shown, with the end of what it printed.
    """
    for note in notes(os.environ, Path.home()):
        report(note)
    needs = demands(dockerfile(recipe))
    command = buildkit.find(client, os.environ) if needs or recipe.secrets else None
    try:
        if command is not None:
            packed = _tar(context(recipe, mount=bool(recipe.secrets)))
            buildkit.build(command, recipe, packed, name, network, report)
        else:
            _check_plain(client, needs)
            _build_plainly(client, recipe, name, network, report)
    except ImageError as error:
        # Nothing of its cause: a request that failed has the build's arguments.
        raise ImageError(recipe.secrets.redact(str(error))) from None


def context(recipe: Recipe, mount: bool = False) -> dict[str, bytes]:
    """Give all files of a build, the Dockerfile among them, by name.

    Parameters
    ----------
    recipe : Recipe
        What goes in.
    mount : bool
        BuildKit builds it, and mounts ``recipe.secrets.mounted()``.
    """
    text = dockerfile(recipe, mount)
    files = {f"{FOLDER}/{file}": data for file, data in recipe.own_files.items()}
    return dict(recipe.files) | files | {f"{FOLDER}/Dockerfile": text.encode()}


def _check_plain(client: Any, needs: list[Demand]) -> None:
    """Refuse what this engine can't build without BuildKit, before it begins."""
    if needs and not (all("--mount" in need.what for need in needs) and buildkit.is_podman(client)):
        number, line, what = needs[0]
        raise ImageError(
            f"line {number} of the Dockerfile needs BuildKit ({what}), which isn't installed "
            f"here:\n  {shortened(line)}\nInstall Docker's buildx (Debian's "
            "docker-buildx-plugin, or https://docs.docker.com/go/buildx), or rewrite that "
            "line without it"
        )


def _build_plainly(
    client: Any, recipe: Recipe, name: str, network: str | None, report: Report
) -> None:
    """Build with the engine's own builder, which every engine has."""
    arguments = recipe.secrets.arguments()
    text = "\n".join([recipe.text or "", *recipe.lines])
    with _translated("build", name), _silenced():
        answers = client.api.build(
            fileobj=_tar(context(recipe)),
            custom_context=True,
            dockerfile=f"{FOLDER}/Dockerfile",
            tag=name,
            platform=recipe.platform,
            network_mode=network,
            buildargs=arguments | platform_arguments(text, recipe.platform),
            rm=True,
            forcerm=True,
            decode=True,
        )
        follow_answers(answers, report, recipe.secrets.redact)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep a request with the build's arguments out of the log of who debugs his program."""
    log = logging.getLogger("urllib3.connectionpool")

    def is_other(record: logging.LogRecord) -> bool:
        return "buildargs=" not in record.getMessage()

    log.addFilter(is_other)
    try:
        yield
    finally:
        log.removeFilter(is_other)


def push(client: Any, name: str, login: Mapping[str, str] | None, report: Report) -> None:
    """Push an image to its registry.

    Parameters
    ----------
    client : docker.DockerClient
        The engine.
    name : str
        The image's name and tag.
    login : mapping of str to str, optional
        ``username`` and ``password``; None: those that Docker itself has.
    report : callable
        Told how much is done.

    Raises
    ------
    ImageError
        If the registry refuses it.
    """
    repository, _, tag = name.rpartition(":")
    with _translated("push", name):
        answers = client.api.push(repository, tag=tag, auth_config=login, stream=True, decode=True)
        _follow_push(answers, name, report)


def _follow_push(answers: Iterable[Mapping[str, Any]], name: str, report: Report) -> None:
    pushed, failure = Tenths("pushing", report), ""
    for answer in answers:
        failure = str(answer.get("error", failure))
        pushed.take(answer)
    if failure:
        raise ImageError(
            f"{name} can't be pushed: {failure}. Check that you may write to this repository "
            "(`dask knot policy --user`), and that it exists (`dask knot up`)"
        )


def _tar(files: Mapping[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    buffer.seek(0)
    return buffer


@contextmanager
def _translated(action: str, name: str) -> Iterator[None]:
    from docker.errors import DockerException

    try:
        yield
    except DockerException as error:
        # Not the request that was answered: it has the arguments of a build, the secret one too.
        words = getattr(error, "explanation", None) or error
        raise ImageError(f"Docker can't {action} {name}: {words}") from None
