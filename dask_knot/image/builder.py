"""Builds and pushes with a Docker engine: progress as it comes, and the line that failed."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError
from dask_knot.extras import extra
from dask_knot.image.dockerfile import FOLDER, Recipe, dockerfile

#: So many lines of a failed build are shown.
SHOWN = 15
#: Layers are named one after another: the first ones, which are small, say nothing of all.
SHOWN_BYTES = 1e7
#: What the engine says of itself between the lines of a command.
CHATTER = (" --->", "Removing intermediate container")
#: What a command says of what it doesn't do.
NO_NEWS = "Requirement already satisfied"
WITHOUT_DOCKER = (
    "Start Docker (or set DOCKER_HOST), or run `dask knot image` on another machine that has it "
    "and the same versions, or name an image that is ready: KnotCluster(image=...), knot.aws.image"
)


def connect_to_builder() -> Any:
    """Connect to the Docker engine that builds images; close the client after use.

    Raises
    ------
    ImageError
        If there is none; the message names the alternatives.
    """
    with extra():
        import docker
        from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        raise ImageError(
            f"the image of the jobs must be built, and no Docker engine answers here ({error}). "
            f"{WITHOUT_DOCKER}"
        ) from None  # its own chain of three libraries says no more
    return client


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
    text = dockerfile(recipe)
    files = {f"{FOLDER}/{file}": data for file, data in recipe.own_files.items()}
    context = _tar(dict(recipe.files) | files | {f"{FOLDER}/Dockerfile": text.encode()})
    with _translated("build", name):
        answers = client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=f"{FOLDER}/Dockerfile",
            tag=name,
            platform=recipe.platform,
            network_mode=network,
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow_build(answers, report)


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


def _follow_build(answers: Iterable[Mapping[str, Any]], report: Report) -> None:
    step, printed, failure = "FROM", list[str](), ""
    pulled = _Tenths("pulling the base image", report)
    for answer in answers:  # to their end: else the connection stays open
        if "error" in answer:
            failure = _failure(step, printed, str(answer["error"]))
        for line in str(answer.get("stream", "")).splitlines():
            if line.startswith("Step "):
                step, printed = line, []
                report(_shortened(line))
            elif line.strip() and not line.startswith(CHATTER):
                printed.append(line.rstrip())
                if not line.startswith(NO_NEWS):
                    report(_shortened(f"  {line.strip()}"))
        pulled.take(answer)
    if failure:
        raise ImageError(failure)


COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _failure(step: str, printed: list[str], error: str) -> str:
    line = step.partition(" : ")[2] or step
    cure = "Mend that line, or the packages that it installs"
    if "exec format error" in error + "".join(printed[-SHOWN:]):
        cure = (
            "The image is for another processor than this machine's: install QEMU (`docker run "
            "--privileged --rm tonistiigi/binfmt --install all`), or build it on such a machine"
        )
    said = "".join(f"\n    {text}" for text in printed[-SHOWN:])
    opening = "the image can't be built, this line of its Dockerfile failed"
    # Installers write in colours, which are none in a traceback or a log.
    return COLOURS.sub("", f"{opening}:\n  {line}{said}\n{error}\n{cure}")


def _follow_push(answers: Iterable[Mapping[str, Any]], name: str, report: Report) -> None:
    pushed, failure = _Tenths("pushing", report), ""
    for answer in answers:
        failure = str(answer.get("error", failure))
        pushed.take(answer)
    if failure:
        raise ImageError(
            f"{name} can't be pushed: {failure}. Check that you may write to this repository "
            "(`dask knot policy --user`), and that it exists (`dask knot up`)"
        )


class _Tenths:
    """Says of layers, all together, each tenth that is moved."""

    def __init__(self, action: str, report: Report) -> None:
        self._action, self._report = action, report
        self._moved: dict[str, tuple[int, int]] = {}
        self._shown = -1

    def take(self, answer: Mapping[str, Any]) -> None:
        """Look whether an answer of the engine is about a layer on its way."""
        detail = answer.get("progressDetail") or {}
        if "total" not in detail or answer.get("status") == "Extracting":
            return
        self._moved[str(answer.get("id"))] = (detail.get("current", 0), detail["total"])
        done, total = (sum(numbers) for numbers in zip(*self._moved.values(), strict=True))
        done = min(done, total)  # what is sent is more than what it is packed from
        tenth = 10 * done // max(total, 1)
        if tenth > self._shown and total >= SHOWN_BYTES:
            self._shown = tenth
            self._report(f"{self._action}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def _shortened(line: str, width: int = 100) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


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
        raise ImageError(f"Docker can't {action} {name}: {error}") from error
