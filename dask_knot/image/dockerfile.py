"""The Dockerfile of the jobs' image, and the hash that names it: pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.environment.layers import ImageLayer
from dask_knot.image.secrets import ID, BuildSecrets

#: Where our own files lie in the context of the build, and in the image.
FOLDER = "dask-knot"
USER = "1000:1000"
#: What runs pip in the build.
INSTALL = "install.py"
#: How the two files of a step begin.
KINDS = ("requirements", "constraints")
#: Doesn't need `useradd`, which small images lack.
MAKE_USER = (
    "echo 'knot:x:1000:1000::/home/knot:/bin/sh' >> /etc/passwd"
    " && mkdir -p /home/knot && chown 1000:1000 /home/knot"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that an image is made of.

    Attributes
    ----------
    python : str
        The minor version that it must have.
    base : str or None
        The image to start from; None: Python's own.
    text : str or None
        The user's own Dockerfile, to start from instead.
    debian, lines : tuple of str
        Debian packages, and more lines of the Dockerfile.
    requirements, constraints : tuple of str
        What pip is told.
    layers : tuple of ImageLayer
        What it is told before that, of the same packages.
    wheels : mapping of str to bytes
        Wheels by their file names.
    files : mapping of str to bytes
        Hashes of the other files of the context: an own Dockerfile may copy them.
    labels : mapping of str to str
        What the image says of itself.
    platform : str
        ``linux/amd64`` or ``linux/arm64``.
    indexes : tuple of str
        Where packages come from, if not from PyPI: without any secret, since files have it.
    secrets : BuildSecrets
        What pip is told besides. Not in the tag: a new token makes no new image.
    """

    python: str
    platform: str
    base: str | None = None
    text: str | None = None
    debian: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    layers: tuple[ImageLayer, ...] = ()
    wheels: Mapping[str, bytes] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()
    secrets: BuildSecrets = field(default_factory=BuildSecrets, repr=False, compare=False)

    @property
    def own_files(self) -> dict[str, bytes]:
        """Our files in the context, by name."""
        lists = {
            f"{kind}{suffix}.txt": found
            for suffix, layer in self.steps.items()
            for kind, found in zip(KINDS, layer, strict=True)
        }
        # Another index may have another package of the same name: then no cached layer is right.
        head = [f"# from {place}" for place in self.indexes]
        made = {
            name: "".join(f"{line}\n" for line in (*head, *lines)) for name, lines in lists.items()
        }
        install = Path(__file__).with_name(INSTALL).read_bytes()
        files = {name: text.encode() for name, text in made.items()}
        return files | dict(self.wheels) | {INSTALL: install}

    @property
    def steps(self) -> dict[str, ImageLayer]:
        """The files of all steps of pip, in order, by the ends of their names."""
        early = {f"-{number}": layer for number, layer in enumerate(self.layers, 1)}
        return {**early, "": ImageLayer(self.requirements, self.constraints)}

    @property
    def tag(self) -> str:
        """The image's tag: another one whenever anything of it changes."""
        digest = hashlib.sha256()
        contents = {"Dockerfile": dockerfile(self).encode()} | self.own_files | dict(self.files)
        for name, data in sorted(contents.items()):
            digest.update(json.dumps([name, hashlib.sha256(data).hexdigest()]).encode())
        digest.update(self.platform.encode())
        return f"py{self.python}-{self.platform.rpartition('/')[2]}-{digest.hexdigest()[:20]}"


def dockerfile(recipe: Recipe, mount: bool = False) -> str:
    """Write the Dockerfile; for BuildKit, which alone can `mount` the secrets, one with a mount.

    Our part comes after what the user starts from: the packages first, since they change least (and
    of them, those of `layers`), then dask_knot, then the user's own lines. The program runs as a
    user without rights.
    """
    own, base = recipe.text, recipe.base or f"python:{recipe.python}-slim"
    lines = [own.rstrip() if own else f"FROM {base}", "USER root"]
    if own or recipe.base:
        lines.append(_check_python(recipe.python))
    if recipe.debian:
        lines.append(_install_debian(recipe.debian))
    wheels = " ".join(f"/opt/{FOLDER}/{name}" for name in recipe.wheels)
    lines.append(f"COPY {FOLDER}/{INSTALL} /opt/{FOLDER}/")
    for suffix in recipe.steps:
        needs, held = (f"{kind}{suffix}.txt" for kind in KINDS)
        lines += [
            f"COPY {FOLDER}/{needs} {FOLDER}/{held} /opt/{FOLDER}/",
            _pip(f"-r /opt/{FOLDER}/{needs} -c /opt/{FOLDER}/{held}", mount),
        ]
    lines += [
        f"COPY {FOLDER}/*.whl /opt/{FOLDER}/",
        _pip(f"--no-deps {wheels}", mount),
        *recipe.lines,
        *_label(recipe.labels),
        "ENV PYTHONUNBUFFERED=1",
        *_become(_user(own)),
        # Batch runs a command through the image's entry point, if it has one.
        "ENTRYPOINT []",
        'CMD ["python", "-m", "dask_knot.job"]',
    ]
    return "\n".join(lines) + "\n"


def _pip(arguments: str, mount: bool) -> str:
    """Install packages, with what `install.py` finds of secrets."""
    mounted = f"--mount=type=secret,id={ID} " if mount else ""
    return f"RUN {mounted}python /opt/{FOLDER}/{INSTALL} {arguments}"


def _label(labels: Mapping[str, str]) -> list[str]:
    """Say what the image has, in one line: each is a step of the build."""
    pairs = " ".join(f"dask-knot.{name}={json.dumps(text)}" for name, text in labels.items())
    return [f"LABEL {pairs}"] if pairs else []


def _become(user: str | None) -> list[str]:
    """Run as the user that an own Dockerfile names, else as a new one with a home."""
    if user:
        return [f"USER {user}"]
    home = "ENV HOME=/home/knot USER=knot"
    return [f"RUN {MAKE_USER}", home, "WORKDIR /home/knot", f"USER {USER}"]


def _install_debian(packages: tuple[str, ...]) -> str:
    return (
        "RUN apt-get update && apt-get install -y --no-install-recommends "
        f"{' '.join(packages)} && rm -rf /var/lib/apt/lists/*"
    )


def _check_python(version: str) -> str:
    """Stop before anything is installed into a Python that jobs can't use."""
    program = (
        "import sys; found = '%d.%d' % sys.version_info[:2]; "
        f"sys.exit(0 if found == '{version}' else "
        f"'the image has Python ' + found + ', this machine has {version}: "
        "they must be the same')"
    )
    return f'RUN python -c "{program}"'


def _user(text: str | None) -> str | None:
    """Find the user that the last stage of a Dockerfile ends with."""
    last_stage = re.split(r"^\s*FROM\s", text or "", flags=re.MULTILINE | re.IGNORECASE)[-1]
    users = re.findall(r"^\s*USER\s+(\S+)", last_stage, flags=re.MULTILINE | re.IGNORECASE)
    return users[-1] if users and users[-1] not in ("root", "0") else None
