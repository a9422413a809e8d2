"""Files of modules and packages: which of a folder belong to the code, which are left behind."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from fnmatch import translate
from typing import NamedTuple

from dask_knot.modules.ownership import SITES
from dask_knot.run.bundle import is_compiled

#: Folders that hold no code of the user's own.
_FOREIGN = SITES | {"__pycache__", "node_modules"}
_RECORDS = (".egg-info", ".dist-info")
#: Folders of the system, which hold nothing of the user's own.
_SYSTEM = tuple(f"/{name}/" for name in ["boot", "dev", "etc", "proc", "sys"])
#: Folders with one of these are environments.
_ENVIRONMENTS = frozenset({"pyvenv.cfg", "conda-meta"})
#: What editors and Python leave behind.
_REMAINS = ("~", ".swp", ".pyo")
_CODE = (".py", ".pyc", ".pyi", ".pyw")
#: Names of files that others must not have.
SECRETS = (
    *("*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*"),
    *("secrets.*", "client_secret*", "service_account*", "service-account*"),
)
_SECRET = re.compile("|".join(map(translate, SECRETS)))


class FoundFile(NamedTuple):
    """A file as it is now: its name in the bundle, its path, and what tells versions apart."""

    name: str
    path: str
    size: int
    changed: int
    is_executable: bool

    @property
    def is_code(self) -> bool:
        """Whether it is a module."""
        return self.name.endswith(_CODE) or is_compiled(self.name)


def is_secret(name: str) -> bool:
    """Tell whether a file should stay where it is, by its name; code is no secret."""
    return not name.endswith(_CODE) and _SECRET.fullmatch(name.lower()) is not None


def is_left(name: str) -> bool:
    """Tell whether a file or folder is nothing that code reads, by its name."""
    return name.startswith(".") or name in _FOREIGN or name.endswith((*_REMAINS, *_RECORDS))


def file(path: str, name: str) -> FoundFile | None:
    """Look at a file; None if there is no such."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # what is no source may hold any text
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    is_executable = bool(found.st_mode & stat.S_IXUSR)
    return FoundFile(name, path, found.st_size, found.st_mtime_ns, is_executable)


def _leads_out(path: str, top: str) -> bool:
    """Tell whether a path, links followed, is of others or above where one began."""
    real = os.path.join(os.path.realpath(path), "")
    begun = os.path.join(top, "")
    if real.startswith(begun):
        return real != begun and not SITES.isdisjoint(real.split(os.sep))
    home = os.path.join(os.path.realpath(os.path.expanduser("~")), "")
    is_system = real.startswith(_SYSTEM) or not SITES.isdisjoint(real.split(os.sep))
    return is_system or begun.startswith(real) or home.startswith(real)


def tree(folder: str, name: str) -> Iterator[FoundFile]:
    """Give the files of a folder that belong to the code in it, always in the same order.

    What is near comes first. Links are followed, but to no folder twice, and neither to one above
    nor to installed packages, nor to what the system shows as files.

    Parameters
    ----------
    folder : str
        Where it is.
    name : str
        What it is called in the bundle.
    """
    left, seen = deque([(folder, name)]), set()
    top = os.path.realpath(folder)
    while left:
        path, below = left.popleft()
        if _leads_out(path, top):
            continue
        real = os.path.realpath(path)
        try:
            inside = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError:
            continue
        if real in seen or not _ENVIRONMENTS.isdisjoint(entry.name for entry in inside):
            continue
        seen.add(real)
        for entry in inside:
            if is_left(entry.name):
                continue
            if entry.is_dir():
                left.append((entry.path, f"{below}/{entry.name}"))
            elif entry.is_symlink() and _leads_out(entry.path, top):
                continue
            elif one := file(entry.path, f"{below}/{entry.name}"):
                yield one
