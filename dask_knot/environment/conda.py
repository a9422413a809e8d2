"""Conda's environment, as it is here: its records, and the list from which it can be made again."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from dask_knot.environment.credentials import OF_CONDA, TELLING, URL, is_secret
from dask_knot.environment.problems import Problems
from dask_knot.environment.target import Target

#: What conda calls the platforms of images.
SUBDIRS = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}
#: Channels whose Python packages an index has as well.
PUBLIC = (
    "conda-forge",
    "defaults",
    "main",
    "pkgs",
    "free",
    "bioconda",
    "pytorch",
    "nvidia",
    "intel",
)
#: Python packages of conda's that no index has ready to be installed, by their names as Python
#: knows them. Where an index has sources at least: Debian's packages that they are compiled with.
ONLY_CONDA = {
    "gdal": "libgdal-dev g++",
    "pycairo": "libcairo2-dev g++",
    "pygobject": "libgirepository1.0-dev libcairo2-dev g++",
    "pygraphviz": "libgraphviz-dev g++",
    "pyaudio": "portaudio19-dev g++",
    "rpy2": "r-base-dev g++",
    "wxpython": "libgtk-3-dev g++",
    **dict.fromkeys(("cudf", "cuml", "esmpy", "graph-tool", "petsc4py", "pynio", "pyngl"), ""),
    **dict.fromkeys(("pythonocc-core", "raft-dask", "rmm", "slepc4py"), ""),
}
#: The cure that holds for all of them.
CONDA = "conda's own packages with `--conda here` (`knot.build.conda`)"


@dataclass(frozen=True, slots=True)
class CondaRecord:
    """A package that conda has installed.

    Attributes
    ----------
    name, version, subdir, channel : str
        As conda calls them; `subdir` is a platform, or ``noarch``.
    url, checksum : str
        Where it is from, without credentials, and its MD5.
    depends : tuple of str
        The names of what it needs.
    python : tuple of str
        The names of what it has for Python: conda's pytorch is torch, and mkl is none.
    """

    name: str
    version: str
    subdir: str
    channel: str
    url: str
    checksum: str
    depends: tuple[str, ...]
    python: tuple[str, ...]


def find_prefix() -> Path | None:
    """Give the conda environment that runs; that of which a virtual one was made, too."""
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix)):
        if (Path(prefix) / "conda-meta").is_dir():
            return Path(prefix)
    return None


def read_records(prefix: Path) -> dict[str, CondaRecord]:
    """Read the records of a conda environment, by the names of packages; damaged ones are none."""
    found = {}
    for file in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            told = json.loads(file.read_bytes())
            found[str(told["name"])] = _record(told)
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return found


def _record(told: dict[str, Any]) -> CondaRecord:
    url = without_credentials(str(told.get("url", "")))
    parts = urlsplit(url).path.strip("/").split("/")
    return CondaRecord(
        name=str(told["name"]),
        version=str(told["version"]),
        subdir=str(told.get("subdir") or (parts[-2] if len(parts) > 1 else "")),
        channel=parts[-3] if len(parts) > 2 else "",
        url=url,
        checksum=str(told.get("md5", "")),
        depends=tuple(str(need).split()[0] for need in told.get("depends", ()) if str(need)),
        python=tuple(dict.fromkeys(_python_names(told.get("files", ())))),
    )


def _python_names(files: Iterable[object]) -> Iterator[str]:
    for file in files:
        found = re.search(r"([\w.]+?)-[^/]+\.(?:dist|egg)-info(?:/|$)", str(file))
        if found:
            yield canonicalize_name(found[1])


def record_of(name: str, records: Mapping[str, CondaRecord]) -> CondaRecord | None:
    """Find the record of a Python package: conda may call it otherwise."""
    for one in records.values():
        if name in one.python:
            return one
    return records.get(name) or records.get(name.replace("-", "_"))


def without_credentials(text: str) -> str:
    """Take the tokens (``/t/TOKEN/``) and the users of channels' URLs out of a text."""

    def bare(match: re.Match[str]) -> str:
        who, rest = (
            match["who"],
            OF_CONDA.sub(lambda path: path[1].removesuffix("/t/"), match["rest"]),
        )
        kept = f"{who}@" if who and not is_secret(match["scheme"], who) else ""
        query = match["query"]
        is_kept = query is not None and not TELLING.search(query)
        return f"{match['scheme']}://{kept}{rest}{'?' + query if is_kept else ''}"

    return URL.sub(bare, text)


def explicit_list(
    records: Iterable[CondaRecord], target: Target, problems: Problems
) -> tuple[str, ...]:
    """Write the list from which conda makes an environment without solving: URLs and MD5s.

    Parameters
    ----------
    records : iterable of CondaRecord
        What is installed.
    target : Target
        The platform of the image.
    problems : Problems
        Told of what was installed for another platform, or from a file.
    """
    lines, strange, lost = [], set[str](), []
    for record in sorted(records, key=lambda one: one.name):
        if record.subdir not in ("noarch", SUBDIRS[target.platform]):
            strange.add(record.subdir)
        elif not record.url.startswith(("http://", "https://")):
            lost.append(record.name)
        lines.append(f"{record.url}#{record.checksum}" if record.checksum else record.url)
    if strange:
        problems.add(
            f"the conda environment here is for {', '.join(sorted(strange))}, but the image "
            f"is for {target.platform}",
            f"Write an environment.yml or an explicit list for {SUBDIRS[target.platform]} "
            "and pass it: `--conda environment.yml`",
        )
    if lost:
        problems.add(
            f"conda has no URL for {', '.join(lost)}, as it was installed from a file",
            "Install them from a channel, or write an environment.yml and pass it with `--conda`",
        )
    return ("@EXPLICIT", *lines)


def needed_beside_python(
    packages: Iterable[Distribution], records: Mapping[str, CondaRecord]
) -> Iterator[str]:
    """Name what packages need of conda that is no Python package, but for plain libraries."""
    seen: set[str] = set()
    for package in packages:
        record = record_of(canonicalize_name(package.metadata["Name"]), records)
        for need in record.depends if record else ():
            found = records.get(need)
            is_told = found is not None and not found.python and need not in seen
            if is_told and not re.match(r"lib|_|python|openssl|vc|ucrt|zlib|ca-cert|tk$|xz$", need):
                seen.add(need)
                yield need
