"""The Dockerfile of the jobs' image, and the hash that names it: pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.image.secrets import ID, BuildSecrets

#: Where our own files lie in the context of the build, and in the image.
FOLDER = "dask-knot"
USER = "1000:1000"
#: What runs pip in the build.
INSTALL = "install.py"
#: What conda's environment is made in, which has nothing but its program.
MICROMAMBA = "mambaorg/micromamba:2.0.5"
#: Doesn't need `useradd`, which small images lack.
MAKE_USER = (
    "echo 'knot:x:1000:1000::/home/knot:/bin/sh' >> /etc/passwd"
    " && mkdir -p /home/knot && chown 1000:1000 /home/knot"
)


def name_of_layer(number: int) -> str:
    """Name the file of a step's requirements."""
    return f"requirements-{number}.txt"


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
    layers : tuple of tuple of str
        Exact requirements, in the steps in which they are installed; nothing is solved.
    wheels : mapping of str to bytes
        Wheels by their file names.
    requirements, constraints : tuple of str
        What pip solves after that, and the versions that it must keep to.
    conda : tuple of str
        What conda makes its environment from: an explicit list, or an environment.yml.
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
    unreachable : tuple of str
        What pip looks into here and no build can: told when there is one.
    """

    python: str
    platform: str
    base: str | None = None
    text: str | None = None
    debian: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    layers: tuple[tuple[str, ...], ...] = ()
    wheels: Mapping[str, bytes] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()
    secrets: BuildSecrets = field(default_factory=BuildSecrets, repr=False, compare=False)
    unreachable: tuple[str, ...] = field(default=(), compare=False)

    @property
    def own_files(self) -> dict[str, bytes]:
        """Our files in the context, by name."""
        lists = {name_of_layer(number): layer for number, layer in enumerate(self.layers, 1)}
        if self.requirements:
            lists |= {"requirements.txt": self.requirements, "constraints.txt": self.constraints}
        # Another index may have another package of the same name: then no cached layer is right.
        head = [f"# from {place}" for place in self.indexes]
        lists = {name: (*head, *lines) for name, lines in lists.items()}
        if self.conda:
            lists[self.condas_file] = self.conda
        made = {name: "".join(f"{line}\n" for line in lines) for name, lines in lists.items()}
        files = {name: text.encode() for name, text in made.items()} | dict(self.wheels)
        return files | {INSTALL: Path(__file__).with_name(INSTALL).read_bytes()}

    @property
    def condas_file(self) -> str:
        """The name of the file for conda, whose ending says what is in it."""
        return "conda.txt" if "@EXPLICIT" in self.conda else "conda.yml"

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
    own, base = recipe.text, recipe.base or _base(recipe)
    lines = [own.rstrip() if own else f"FROM {base}", "USER root"]
    lines += _install_conda(recipe)
    if own or recipe.base or recipe.conda:
        lines.append(_check_python(recipe.python))
    if recipe.debian:
        lines.append(_install_debian(recipe.debian))
    lines.append(f"COPY {FOLDER}/{INSTALL} /opt/{FOLDER}/")
    for number in range(1, len(recipe.layers) + 1):
        name = name_of_layer(number)
        lines += [
            f"COPY {FOLDER}/{name} /opt/{FOLDER}/",
            _pip(f"--no-deps -r /opt/{FOLDER}/{name}", mount),
        ]
    wheels = " ".join(f"/opt/{FOLDER}/{name}" for name in recipe.wheels)
    lines += [
        f"COPY {FOLDER}/*.whl /opt/{FOLDER}/",
        _pip(f"--no-deps {wheels}", mount),
        *_solve(recipe, mount),
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


def _solve(recipe: Recipe, mount: bool) -> list[str]:
    """Let pip solve what the user wants otherwise than it is here: all else is there by then."""
    if not recipe.requirements:
        return []
    needs, held = f"{FOLDER}/requirements.txt", f"{FOLDER}/constraints.txt"
    return [f"COPY {needs} {held} /opt/{FOLDER}/", _pip(f"-r /opt/{needs} -c /opt/{held}", mount)]


def _base(recipe: Recipe) -> str:
    return MICROMAMBA if recipe.conda else f"python:{recipe.python}-slim"


def _install_conda(recipe: Recipe) -> list[str]:
    """Make conda's environment as it is here, from the files that conda itself has installed."""
    if not recipe.conda:
        return []
    name = recipe.condas_file
    prefix = "/opt/conda-knot"
    return [
        f"COPY {FOLDER}/{name} /opt/{FOLDER}/",
        f"RUN micromamba create --yes --prefix {prefix} --file /opt/{FOLDER}/{name}"
        " && micromamba clean --all --yes",
        f"ENV CONDA_PREFIX={prefix} PATH={prefix}/bin:$PATH",
        "RUN python -m pip --version || python -m ensurepip",
    ]


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
