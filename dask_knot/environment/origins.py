"""Where a package came from, as its metadata say: that decides how others can have it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

#: Folders in which packages are installed have one of these names, wherever they are.
SITES = ("site-packages", "dist-packages")


class OriginKind(Enum):
    """Where packages come from."""

    INDEX = "an index"
    EDITABLE = "a working copy"
    FOLDER = "a folder or file of a machine"
    URL = "a URL"
    VERSION_CONTROL = "version control"
    CONDA = "conda"


@dataclass(frozen=True, slots=True)
class PackageOrigin:
    """Where a package came from.

    Attributes
    ----------
    kind : OriginKind
        An index, a working copy, a folder, …
    folder : Path or None
        The project of a working copy, or the folder or file that it was installed from.
    url : str
        The URL of a file, or of a repository at its commit: as pip takes it after ``name @``.
    revision : str
        The branch or tag that was asked for, if one was.
    """

    kind: OriginKind
    folder: Path | None = None
    url: str = ""
    revision: str = ""

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine has it."""
        return self.kind in (OriginKind.EDITABLE, OriginKind.FOLDER)

    @property
    def is_gone(self) -> bool:
        """Tell whether it was installed from a folder or file that isn't here."""
        is_copy = self.kind is OriginKind.FOLDER and self.folder is not None
        return is_copy and not os.path.exists(str(self.folder))


def origin_of(package: Distribution) -> PackageOrigin:
    """Tell where a package came from.

    Conda's packages name the folder in which they were built, on a machine of others: it says
    nothing. What was installed from a folder or file may have outlived it.
    """
    told = _direct_url(package)
    url = str(told.get("url", ""))
    path = path_of(url)
    if told.get("dir_info", {}).get("editable"):
        return PackageOrigin(OriginKind.EDITABLE, path)
    if _is_beside_its_modules(package):
        return PackageOrigin(OriginKind.EDITABLE, folder_of(package))
    if _is_of_conda(package):
        return PackageOrigin(OriginKind.CONDA)
    if "vcs_info" in told:
        revision = str(told["vcs_info"].get("requested_revision", ""))
        return PackageOrigin(OriginKind.VERSION_CONTROL, None, _reference(told), revision)
    if path is not None:
        return PackageOrigin(OriginKind.FOLDER, path)
    if url:
        return PackageOrigin(OriginKind.URL, None, _with_hash(url, told.get("archive_info", {})))
    return PackageOrigin(OriginKind.INDEX)


def name_of(package: Distribution) -> str:
    """Give the name of a package; "" if its metadata lack name or version.

    What is half removed (``~andas-2.0.dist-info``), or was vendored without its metadata, does.
    """
    try:
        told = package.metadata
    except FileNotFoundError:  # as newer Pythons say of a folder without any
        return ""
    is_told = told is not None and "Name" in told and "Version" in told
    return str(told["Name"]) if is_told else ""


def folder_of(package: Distribution) -> Path:
    """Give the folder that the package's metadata lie in."""
    return Path(str(package.locate_file("")))


def conda_prefix_of(package: Distribution) -> Path | None:
    """Give the conda environment that a package lies in."""
    return next((one for one in folder_of(package).parents if (one / "conda-meta").is_dir()), None)


def path_of(url: str) -> Path | None:
    """Give the path of a URL of this machine; None if it is of another place."""
    if not url.startswith("file:"):
        return None
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:  # a bracket that isn't closed
        return None
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)  # Windows: file:///C:/…


def _direct_url(package: Distribution) -> dict[str, Any]:
    try:
        found = json.loads(package.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reference(told: Mapping[str, Any]) -> str:
    source = told["vcs_info"]
    commit = source.get("commit_id") or source.get("requested_revision", "HEAD")
    folder = f"#subdirectory={told['subdirectory']}" if "subdirectory" in told else ""
    return f"{source['vcs']}+{told['url']}@{commit}{folder}"


def _with_hash(url: str, archive: Mapping[str, Any]) -> str:
    """Put the hash that was noted behind a URL: pip then takes no other file."""
    hashes = dict(archive.get("hashes") or {})
    kind, _, digest = str(archive.get("hash", "")).partition("=")
    digest = hashes.get("sha256") or (digest if kind == "sha256" else "")
    return f"{url}#sha256={digest}" if digest and "#" not in url else url


def _is_beside_its_modules(package: Distribution) -> bool:
    """Tell whether metadata lie in a working copy: of `setup.py develop`, or on PYTHONPATH."""
    folder = folder_of(package)
    is_egg_info = bool(package.read_text("PKG-INFO")) and not package.read_text("METADATA")
    return is_egg_info and folder.name not in SITES and folder.suffix != ".egg"


def _is_of_conda(package: Distribution) -> bool:
    if (package.read_text("INSTALLER") or "").strip() == "conda":
        return True
    prefix, name = conda_prefix_of(package), name_of(package)
    if prefix is None or not name:
        return False
    # What pip installed over it has another version, and leaves the record of the old one.
    names = {name, name.lower(), name.replace("_", "-").lower(), name.replace("-", "_").lower()}
    records = prefix / "conda-meta"
    return any(any(records.glob(f"{one}-{package.version}-*.json")) for one in names)
