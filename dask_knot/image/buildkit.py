"""BuildKit, by Docker's own command: it alone speaks with it.

It is asked for where it makes a difference: for secrets, which it mounts, and for Dockerfiles that
want it. Everything else goes to the engine itself, which is there without any command.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError
from dask_knot.image.dockerfile import FOLDER, Recipe
from dask_knot.image.logins import spared
from dask_knot.image.progress import follow_plain

#: How the secret is handed to the command: never as an argument, which every process can read.
VARIABLE = "DASK_KNOT_SECRET"
#: From here on the command needs buildx; before it had BuildKit in itself.
BUILDX_FROM = 23
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class BuildCommand:
    """A command that builds with BuildKit.

    Attributes
    ----------
    words : tuple of str
        Its first words.
    variables : mapping of str to str
        What it needs in its environment.
    """

    words: tuple[str, ...]
    variables: Mapping[str, str]


def find(client: Any, environ: Mapping[str, str]) -> BuildCommand | None:
    """Look for a command that reaches the BuildKit of an engine; None if there is none.

    Podman has no BuildKit, and needs none: it mounts by itself.
    """
    endpoint = getattr(client, "endpoint", None)
    if endpoint is None or is_podman(client):
        return None
    for program in _programs(environ.get("PATH", "")):
        if _says(program, "buildx", "version"):
            words = (program, "buildx", "build", "--builder", "default", "--load")
            return BuildCommand(words, endpoint.variables())
        version = re.search(r"version (\d+)\.", _says(program, "--version"))
        if version and int(version[1]) < BUILDX_FROM:
            variables = {**endpoint.variables(), "DOCKER_BUILDKIT": "1"}
            return BuildCommand((program, "build"), variables)
    return None


def is_podman(client: Any) -> bool:
    """Tell whether an engine is Podman, which answers like Docker."""
    parts = client.version().get("Components") or ()
    return any("podman" in str(part.get("Name", "")).lower() for part in parts)


def _programs(path: str) -> Iterator[str]:
    """Name all commands `docker`: an old one further back may have what a new one lacks."""
    for folder in dict.fromkeys(path.split(os.pathsep)):
        program = Path(folder, "docker")
        if folder and os.access(program, os.X_OK) and program.is_file():
            yield str(program)


def _says(program: str, *words: str) -> str:
    """Give what a command answers; nothing if it fails."""
    try:
        made = subprocess.run([program, *words], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return made.stdout if made.returncode == 0 else ""


def build(
    command: BuildCommand,
    recipe: Recipe,
    context: io.BytesIO,
    name: str,
    network: str | None,
    report: Report,
) -> None:
    """Build an image.

    Raises
    ------
    ImageError
        If a line of the Dockerfile fails: it is shown, with the end of what it printed.
    """
    proxies = recipe.secrets.proxy_arguments()
    words = [*command.words, "--progress", "plain", "--file", f"{FOLDER}/Dockerfile"]
    words += ["--tag", name, "--platform", recipe.platform]
    words += ["--network", network] if network else []
    words += [word for proxy in proxies for word in ("--build-arg", proxy)]
    words += ["--secret", f"id=dask-knot,env={VARIABLE}"] if recipe.secrets else []
    text = recipe.text or ""
    if "type=ssh" in text + "".join(recipe.lines) and os.environ.get("SSH_AUTH_SOCK"):
        words += ["--ssh", "default"]
    with spared(os.environ, Path.home()) as logins:
        variables = os.environ | dict(command.variables) | proxies
        variables.pop("DOCKER_CONTEXT", None)
        if recipe.secrets:
            variables[VARIABLE] = recipe.secrets.document()
        if logins is not None:
            variables["DOCKER_CONFIG"] = str(logins.parent)
        clean = recipe.secrets.redact
        _run(
            [*words, "-"],
            variables,
            context,
            lambda lines: follow_plain(lines, report, clean),
        )


def _run(
    words: list[str],
    variables: Mapping[str, str],
    context: io.BytesIO,
    follow: Callable[[Iterator[str]], None],
) -> None:
    with tempfile.TemporaryFile() as packed:
        packed.write(context.getbuffer())
        packed.seek(0)
        with _started(words, variables, packed) as process:
            assert process.stdout is not None
            last = list[str]()
            follow(_kept(process.stdout, last))
        if process.returncode:
            raise ImageError(
                f"Docker's command can't build the image (exit code {process.returncode}): "
                + " ".join(last[-3:])
            )


@contextmanager
def _started(
    words: list[str], variables: Mapping[str, str], packed: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        words,
        stdin=packed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(variables),
    )
    try:
        with process:
            yield process
    finally:
        if process.poll() is None:  # somebody has interrupted us
            process.terminate()
            process.wait(PATIENCE)


def _kept(lines: IO[str], last: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip():
            last.append(line.strip())
            del last[:-3]
        yield line
