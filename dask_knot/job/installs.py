"""Installations by plugins: once in an environment, however many jobs share it."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def install_once(name: str, install: Callable[[], None], folder: Path | None = None) -> bool:
    """Call `install`, unless a job before has done so in this environment.

    Jobs that share an environment, as those of the local engine do, wait for each other here. In a
    container each job is the first.

    Parameters
    ----------
    name : str
        Name of the plugin: Dask gives each installation its own.
    install : callable
        Installs; what it raises is raised, and the next job tries again.
    folder : Path, optional
        Where the list of what is done is kept; the folder for temporary files.

    Returns
    -------
    bool
        Whether it was called.
    """
    import fcntl  # jobs have it; a client on Windows needs this file, but not this function

    path = (folder or Path(tempfile.gettempdir())) / f"dask-knot-installed-{os.getuid()}"
    done = hashlib.sha256(f"{sys.prefix}\n{name}".encode()).hexdigest()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets it go
        is_new = done not in file.read().splitlines()
        if is_new:
            install()
            file.write(f"{done}\n")
    importlib.invalidate_caches()
    return is_new
